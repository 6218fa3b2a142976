# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A long module that is run for some seconds at a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.synapse.tuning.plugins.plugin_utils import _controller
from ansible_collections.synapse.tuning.plugins.plugin_utils._progress import run_in_slices


class FakeAction:
    """An action whose module gives these results."""

    def __init__(self, *results: dict[str, Any], **task: Any) -> None:
        self._task = SimpleNamespace(
            **{"args": {"room": "x"}, "async_val": 0, "check_mode": False, "no_log": False, **task}
        )
        self.shown: list[str] = []
        self._display = SimpleNamespace(display=self.shown.append)
        self._results = list(results)
        self.calls: list[dict[str, Any]] = []

    def _execute_module(self, *, module_name: str, module_args: dict[str, Any], **_more: Any) -> dict[str, Any]:
        assert module_name == "synapse.tuning.room"
        self.calls.append(module_args)
        return dict(self._results.pop(0))


def slices(action: FakeAction) -> dict[str, Any]:
    return run_in_slices(action, "synapse.tuning.room", {"inventory_hostname": "web1"}, seconds=5)


def part(progress: str, **more: Any) -> dict[str, Any]:
    return {"changed": False, "finished": False, "progress": progress, "follow": {"id": progress}, **more}


END = {"changed": False, "finished": True, "progress": ""}


def test_slices_follow_each_other_and_show_what_is_new() -> None:
    action = FakeAction(part("a", changed=True, warnings=["w"]), part("b"), part("b"), {**END, "warnings": ["w", "v"]})
    assert slices(action) == {**END, "changed": True, "warnings": ["w", "v"]}
    assert action.shown == ["web1: room: a", "web1: room: b"]
    assert action.calls == [
        {"room": "x", "slice": 5},
        *({"room": "x", "slice": 5, "follow": {"id": each}} for each in ("a", "b", "b")),
    ]


def test_a_failure_ends_it() -> None:
    action = FakeAction(part("a", changed=True), {"failed": True, "msg": "no"})
    assert slices(action) == {"failed": True, "msg": "no", "changed": True}


def test_what_is_not_waited_for_has_nothing_to_follow() -> None:
    action = FakeAction({"changed": True, "finished": False, "progress": "a"})
    assert slices(action)["finished"] is False and len(action.calls) == 1 and action.shown == []


@pytest.mark.parametrize("task", [{"async_val": 60}, {"check_mode": True}, {"args": {"room": "x", "slice": 2}}])
def test_one_call(task: dict[str, Any]) -> None:
    action = FakeAction(part("a"), **task)
    assert slices(action)["follow"] == {"id": "a"}
    assert len(action.calls) == 1 and "follow" not in action.calls[0] and action.shown == []


def test_nothing_is_shown_of_a_task_that_hides_its_results() -> None:
    action = FakeAction(part("a"), END, no_log=True)
    assert slices(action) == END and action.shown == []


def test_a_run_that_was_killed_leaves_no_worker_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_controller, "is_orphan", lambda: True)
    action = FakeAction(part("a", changed=True))
    assert slices(action)["failed"] and len(action.calls) == 1
