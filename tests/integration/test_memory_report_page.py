# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules measurement_file and memory_report, run by Ansible itself, and the page in a real browser."""

from __future__ import annotations

import json
import pathlib
import re
import stat
import sys
from collections.abc import Iterator
from typing import Any

import pytest

# What both kinds of tests share stands with the unit tests.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit"))

from real.browser import Browser, available
from real.report_page import bars, contrasts, overflow, scale, text
from running import ansible_playbook, tree
from sample_measurement import MIB, sample_measurement, sample_room, thrashing

from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.plan import make_plan

pytestmark = pytest.mark.slow

PLAN = make_plan(Inputs(users=5, ram=2048 * MIB, postgresql_version=15))
HOSTILE = "<script>document.title = 'taken'</script><img src=http://127.0.0.1:1/>"

# One run of Ansible for all: starting it is what takes time.
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - synapse.tuning.{module}: "{{{{ item.options }}}}"
      check_mode: "{{{{ item.check | default(false) }}}}"
      register: answers
      ignore_errors: true
      diff: true
      loop: "{{{{ runs }}}}"
    - ansible.builtin.copy:
        content: "{{{{ answers.results | to_json }}}}"
        dest: "{{{{ answers_path }}}}"
        mode: "0600"
"""


def run(folder: pathlib.Path, module: str, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the module answers, one run after another."""
    playbook = folder / f"{module}.yml"
    playbook.write_text(PLAYBOOK.format(module=module), encoding="utf-8")
    answers = folder / f"{module}.json"
    ansible_playbook(playbook, variables={"runs": runs, "answers_path": str(answers)}).must_succeed()
    return list(json.loads(answers.read_text("utf-8")))


def taken(second: int, **at: Any) -> dict[str, Any]:
    return sample_measurement(taken_at=f"2026-11-28T16:40:{second:02}Z", **at)


def bad() -> dict[str, Any]:
    """Everything that has a colour of its own."""
    measurement = taken(
        59,
        host__available=700 * MIB,
        synapse__container__held=900 * MIB,
        synapse__container__held_peak=960 * MIB,
        synapse__jemalloc__allocated=100 * MIB,
        synapse__container__oom_kills=1,
        synapse__version=HOSTILE,
        postgresql__shared=330 * MIB,
        missing={"kernel_log": "run as root"},
    )
    measurement["synapse"]["caches"].append(thrashing("_get_state_group_for_event"))
    return measurement


# --- measurement_file ---------------------------------------------------------------------------


def test_a_history_keeps_the_first_and_the_newest(tmp_path: pathlib.Path) -> None:
    path, history = tmp_path / "measurement.json", tmp_path / "measurements"
    options = {"path": str(path), "keep": 3}
    runs = [
        {"options": {**options, "measurement": taken(0)}, "check": True},
        *({"options": {**options, "measurement": taken(each)}} for each in (0, 0, 1, 2)),
        {"options": {**options, "measurement": taken(3)}, "check": True},
        {"options": {**options, "measurement": taken(3), "before": "measurement-20261128T164002Z.json"}},
        {"options": {**options, "measurement": {"schema_version": 9}}},
        {"options": {**options, "measurement": taken(4), "before": "gone.json"}},
        {"options": {**options, "measurement": taken(4), "keep": 1}},
    ]
    answers = run(tmp_path, "measurement_file", runs)
    checked, first, again, second, _third, would, named, *refused = answers
    assert [each["changed"] for each in answers[:7]] == [True, True, False, True, True, True, True]
    assert (first["before"], first["before_path"], again["before"]) == (None, None, None)
    assert checked["path"] == first["path"] == str(history / "measurement-20261128T164000Z.json")
    assert second["before"] == taken(0) and second["before_path"] == first["path"]
    assert would["removed"] == named["removed"] == [str(history / "measurement-20261128T164001Z.json")]
    assert named["before"] == taken(2)
    assert [each["failed"] for each in refused] == [True] * 3
    assert (
        "measure again" in refused[0]["msg"] and "gone.json" in refused[1]["msg"] and "at least 2" in refused[2]["msg"]
    )
    assert sorted(each.name[-7:-5] for each in history.iterdir()) == ["0Z", "2Z", "3Z"]
    assert stat.S_IMODE(history.stat().st_mode) == 0o700
    assert {mode for mode, _data in tree(history).values()} == {0o600}
    assert json.loads(path.read_text("utf-8")) == taken(3)


# --- memory_report ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Pages by name, and what the module answered."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "plan.json").write_text(json.dumps(PLAN), "utf-8")
    (folder / "broken.json").write_text("{", "utf-8")
    (folder / "none.json").write_text("[]", "utf-8")
    rooms = [sample_room(), sample_room(room_id="!left:x", name=HOSTILE, canonical_alias=None, local_members=0)]
    whole = {
        "path": str(folder / "whole.html"),
        "measurement": bad(),
        "measurement_path": "/srv/matrix/measurement.json",
        "before": taken(0),
        "plan_path": str(folder / "plan.json"),
        "rooms": rooms,
        "host": "matrix.example.org",
    }
    bare = {"path": str(folder / "bare.html"), "measurement": taken(0), "plan_path": str(folder / "gone.json")}
    runs = [
        {"options": whole, "check": True},
        *({"options": whole} for _each in range(2)),
        {"options": bare},
        {"options": {**bare, "path": str(folder / "gone" / "bare.html")}},
        {"options": {**bare, "plan_path": str(folder / "broken.json")}},
        {"options": {"measurement": taken(0), "rooms_missing": "no login"}},
        {"options": {**bare, "measurement": {**taken(0), "synapse": 7}}},
        {"options": {**bare, "plan_path": str(folder / "none.json")}},
    ]
    return {"folder": folder, "answers": run(folder, "memory_report", runs)}


def test_the_page_is_written_once(written: dict[str, Any]) -> None:
    checked, first, again, bare, no_directory, broken, only_text, no_measurement, no_plan = written["answers"]
    assert [each["changed"] for each in (checked, first, again, bare, only_text)] == [True, True, False, True, False]
    page = (written["folder"] / "whole.html").read_text("utf-8")
    assert stat.S_IMODE((written["folder"] / "whole.html").stat().st_mode) == 0o600
    said = "Measured at 2026-11-28 16:40:59 UTC, once: what was held at most is what is held now."
    said += f" {len(page.encode()):,} bytes\n"
    assert (first["diff"]["before"], first["diff"]["after"]) == ("", said)
    assert again["diff"]["before"] == again["diff"]["after"] == said
    assert (no_directory["failed"], broken["failed"]) == (True, True)
    assert "no such file or directory" in no_directory["msg"] and "broken.json is not JSON" in broken["msg"]
    assert (no_measurement["failed"], no_plan["failed"]) == (True, True)
    assert no_measurement["msg"].startswith("measurement.synapse must be a mapping: give")
    assert "none.json: this is no plan, plan must be a mapping: plan again" in no_plan["msg"]
    assert "-e synapse_tuning_measurement_path=/srv/matrix/measurement.json" in first["steps"][0]["command"]
    assert [step["urgency"] for step in first["steps"][:3]] == ["failing", "failing", "memory"]
    assert "WHAT TO DO NEXT" in first["table"] and only_text["path"] is None


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with available() as running:
        yield running


@pytest.mark.parametrize("name", ["whole", "bare"])
@pytest.mark.parametrize(
    ("width", "dark", "media"),
    [(1200, False, "screen"), (1200, True, "screen"), (390, True, "screen"), (720, True, "print")],
)
def test_the_page_can_be_read_everywhere(
    browser: Browser, written: dict[str, Any], name: str, width: int, dark: bool, media: str
) -> None:
    path = written["folder"] / f"{name}.html"
    page = browser.open(path, width=width, dark=dark, media=media)
    assert page.requests == [path.as_uri()]
    assert page.complaints == []
    assert overflow(page) <= 0
    least = contrasts(page)
    assert len(least) >= 2 and min(least.values()) >= 4.5
    background = page.value("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 200) == (dark and media == "screen")
    if media == "print":
        # On paper nothing can be scrolled to.
        assert page.value("[...document.querySelectorAll('.wide')].every(each => each.scrollWidth <= each.clientWidth)")
    page.close()


def test_the_picture_is_in_proportion(browser: Browser, written: dict[str, Any]) -> None:
    page = browser.open(written["folder"] / "whole.html")
    drawn = bars(page)
    whole = scale(drawn)
    assert whole == 1024 * MIB
    for shapes in drawn.values():
        for kind, shape in shapes.items():
            if kind in ("peak", "limit"):
                assert shape["left"] == pytest.approx(shape["bytes"] / whole, abs=0.004)
            else:
                assert shape["width"] == pytest.approx(shape["bytes"] / whole, abs=0.004)
    synapse, shared = drawn["synapse"], drawn["postgresql_shared"]
    assert [synapse[kind]["bytes"] // MIB for kind in ("planned", "held", "peak", "limit")] == [1024, 900, 960, 1024]
    # What is too much begins where what is planned ends, and looks otherwise.
    assert shared["over"]["left"] == pytest.approx(shared["planned"]["width"], abs=0.004)
    assert shared["over"]["bytes"] == shared["held"]["bytes"] - shared["planned"]["bytes"]
    assert len({shared[kind]["seen"] for kind in ("planned", "held", "over")}) == 3
    # The table has the numbers of the picture.
    table = text(page, "#budget table")
    assert re.search(r"Synapse\s+1,024\s+900\s+960\s+1,024\s+88 %", table)
    # Those who can't see it are told.
    told = page.value("document.querySelector('[data-component=synapse] svg').getAttribute('aria-label')")
    assert told == "Synapse: 1,024 MiB planned, 900 MiB held, 960 MiB at most, limit 1,024 MiB"
    page.close()


def test_what_strangers_wrote_is_only_read(browser: Browser, written: dict[str, Any]) -> None:
    page = browser.open(written["folder"] / "whole.html")
    assert page.value("document.title") == "Memory of matrix.example.org"
    assert page.value("document.scripts.length + document.images.length + document.links.length") == 0
    assert HOSTILE in text(page, "#rooms") and HOSTILE in text(page, "header")
    # Should markup ever get in, the page's policy stops it; without one, this would be asked for and run.
    page.value(
        """(() => {
            const added = document.createElement('script');
            added.textContent = "document.title = 'taken'";
            document.body.append(added);
            document.body.insertAdjacentHTML('beforeend', '<img src="http://127.0.0.1:1/">');
            return new Promise(done => setTimeout(done, 100));
        })()"""
    )
    assert page.value("document.title") == "Memory of matrix.example.org"
    assert len([each for each in page.complaints if "Content Security Policy" in each]) == 2
    page.close()


def test_it_prints(browser: Browser, written: dict[str, Any]) -> None:
    page = browser.open(written["folder"] / "whole.html")
    assert page.pdf().startswith(b"%PDF-")
    page.close()
