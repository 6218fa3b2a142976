# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command and the figures, which need what draws them, and so are no part of `make test`.

make .venv/.stamp-lab; .venv/bin/python -m pytest tests/lab
"""

from __future__ import annotations

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import memory_page
import results
from test_lab_results import dead, record, rotations

RUNS = [
    *rotations("stock", [(400, 100), (420, 110), (410, 90)]),
    *rotations("ours", [(200, 90), (220, 120), (210, 91)], predicted={"synapse": 1, "postgresql": 1}),
    dead("mdad"),
    record("stock", host_gib=1),
    record("another", host_gib=1, timeline=[]),
]


@pytest.fixture
def records(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in RUNS), encoding="utf-8")
    return path


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_command_writes_page_figures_and_data(records: pathlib.Path, tmp_path: pathlib.Path) -> None:
    results.main([str(records), "--out", str(tmp_path / "out"), "--fitted", "1:50"])
    found = contents(tmp_path / "out")
    assert sorted(found) == sorted([*memory_page.FIGURES, "memory.json", "memory.md"])
    for name in memory_page.FIGURES:
        assert f"]({name})" in found["memory.md"].decode()
    data = json.loads(found["memory.json"])
    assert data["fitted"] == [{"host_gib": 1.0, "users": 50}]
    assert {(cell["host_gib"], cell["users"]) for cell in data["cells"]} == {
        (each["host_gib"], each["users"]) for each in RUNS
    }


def test_the_same_records_give_the_same_bytes(records: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for name in ("one", "other"):
        results.main([str(records), "--out", str(tmp_path / name)])
    assert contents(tmp_path / "one") == contents(tmp_path / "other")


def test_texts_stay_texts_and_nothing_tells_the_date(records: pathlib.Path, tmp_path: pathlib.Path) -> None:
    results.main([str(records), "--out", str(tmp_path / "out")])
    for name, title in memory_page.FIGURES.items():
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert ">ours</text>" in text and title.replace("'", "&#x27;") in text.replace("'", "&#x27;"), name
        assert "dc:date" not in text and "Matplotlib v" not in text, name


def test_without_a_timeline_there_is_no_figure_of_one(tmp_path: pathlib.Path) -> None:
    page = results.write([record("stock", timeline=[]), record("ours", timeline=[])], tmp_path)
    assert "memory-timeline.svg" not in page and not (tmp_path / "memory-timeline.svg").exists()


def test_no_records_is_one_line(tmp_path: pathlib.Path) -> None:
    with pytest.raises(SystemExit, match=r"^results: .*No such file or directory"):
        results.main([str(tmp_path / "none")])
