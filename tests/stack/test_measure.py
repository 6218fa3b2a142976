# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook measure on a real server, and its page in a real browser."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import play
import pytest
from deployment import Deployment
from real import browser as chromium
from real.report_page import bars, overflow, scale, text
from running import Run, tree

pytestmark = pytest.mark.slow

PLAYBOOK = play.PLAYBOOK.with_name("measure.yml")
NAMES = ("measurement.json", "memory-report.html")
HOSTILE = "<img src=http://127.0.0.1:1/x onerror=alert(1)><script>alert(2)</script>"


def measure(stock: Deployment, *options: str, **more: Any) -> Run:
    return play.tune(stock, None, *options, playbook=PLAYBOOK, **more)


@pytest.fixture(scope="module")
def runs(stock: Deployment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A look in check mode, a first measurement, one after something has happened; and what each left behind."""
    ada = stock.register("ada")
    room = ada.create_room(name=HOSTILE)
    (stock.directory / "plan.json").write_text(json.dumps(play.make_plan()), "utf-8")
    fetched = tmp_path_factory.mktemp("fetched")
    found: dict[str, Any] = {"room": room, "fetched": fetched / "memory-report-localhost.html"}
    before = play.files(stock)
    found["checked"] = measure(stock, "--check", "--diff").must_succeed()
    found["written in check mode"] = play.files(stock).keys() - before.keys()
    found["first"] = measure(stock, measure_rooms=0).must_succeed()
    found["first page"] = (stock.directory / "memory-report.html").read_text("utf-8")
    for number in range(20):
        ada.set_state(room, "org.example.colour", {"number": number}, state_key=str(number))
    found["second"] = measure(stock, report_fetch=f"{fetched}{os.sep}").must_succeed()
    found["history"] = tree(stock.directory / "measurements")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Browser]:
    with chromium.available() as running:
        yield running


def test_check_mode_writes_nothing_and_says_what_it_would(runs: dict[str, Any]) -> None:
    assert runs["written in check mode"] == set()
    assert runs["checked"].changed == 2
    assert "first measurement: nothing to compare yet" in runs["checked"].stdout


def test_what_is_kept(stock: Deployment, runs: dict[str, Any]) -> None:
    assert len(runs["history"]) == 2
    newest = (stock.directory / "measurement.json").read_bytes()
    assert newest == runs["history"][max(runs["history"])][1]
    modes = {stat.S_IMODE((stock.directory / name).stat().st_mode) for name in NAMES}
    assert modes | {mode for mode, _data in runs["history"].values()} == {0o600}
    measured = json.loads(newest)
    # Its own sources were all there, and the lock is gone.
    assert set(measured["missing"]) <= {"kernel_log"}
    assert not (stock.directory / ".synapse-tuning.lock").exists()


def test_the_terminal_shows_before_and_after(runs: dict[str, Any]) -> None:
    assert "first measurement: nothing to compare yet" in runs["first"].stdout
    assert "compared with 20" in runs["second"].stdout
    for run in (runs["first"], runs["second"]):
        assert "BUDGET AGAINST USE, MiB" in run.stdout
        assert "WHAT TO DO NEXT" in run.stdout
    # The measurement and the page; and the copy of the page.
    assert (runs["first"].changed, runs["second"].changed) == (2, 3)


def test_the_page_is_what_was_measured(stock: Deployment, runs: dict[str, Any], browser: chromium.Browser) -> None:
    path = stock.directory / "memory-report.html"
    assert runs["fetched"].read_bytes() == path.read_bytes()
    page = browser.open(path)
    assert page.requests == [path.as_uri()]
    assert page.complaints == []
    assert overflow(page) <= 0
    measured = json.loads((stock.directory / "measurement.json").read_text("utf-8"))
    drawn = bars(page)
    whole = scale(drawn)
    planned = {row["component"]: row["bytes"] for row in play.make_plan()["budget"]}
    assert drawn["synapse"]["planned"]["bytes"] == planned["synapse"]
    assert drawn["postgresql_shared"]["planned"]["bytes"] == planned["postgresql_shared"]
    for component in ("synapse", "postgresql"):
        held = measured[component]["container"]["held"]
        assert drawn[component]["held"]["bytes"] == held
        assert drawn[component]["held"]["width"] == pytest.approx(held / whole, abs=0.002)
    # What strangers wrote can be read, and did nothing.
    assert HOSTILE in text(page, "#rooms")
    assert page.value("document.scripts.length + document.images.length") == 0
    assert "Compared with the measurement of 20" in text(page, "header")
    page.close()


def test_the_first_page_has_nothing_to_compare(runs: dict[str, Any], browser: chromium.Browser, tmp_path: Path) -> None:
    path = tmp_path / "first.html"
    path.write_text(runs["first page"], encoding="utf-8")
    page = browser.open(path, width=390, dark=True)
    assert (page.requests, page.complaints) == ([path.as_uri()], [])
    assert overflow(page) <= 0
    assert "nothing to compare yet" in text(page, "#compared")
    assert "synapse_tuning_measure_rooms" in text(page, "#rooms")
    page.close()
