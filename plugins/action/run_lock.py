# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say who asks for the lock, judge who has it, and wait: what only the controller can."""

from __future__ import annotations

import time
from typing import Any, Dict, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.synapse.tuning.plugins.module_utils._core import run_lock
from ansible_collections.synapse.tuning.plugins.module_utils._core.run_lock import Holder
from ansible_collections.synapse.tuning.plugins.plugin_utils import _controller

_MODULE = "synapse.tuning.run_lock"
_POLL = 2.0


class ActionModule(ActionBase):
    """Calls the module for moments only; the waiting is here, so that nothing hangs on the host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                # Not "path", which would look up ~ and variables on the controller: the module does, on the host.
                "path": {"type": "str", "required": True},
                "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                "timeout": {"type": "int", "default": 0},
                "break_lock": {"type": "bool", "default": False},
            }
        )
        timeout = arguments.pop("timeout")
        if timeout < 0:
            raise AnsibleActionFail(f"timeout is {timeout}: set it to a number of seconds, 0 or more")
        variables = task_vars or {}
        if arguments["state"] == "absent":
            return self._call(_controller.this_run(), arguments, variables)
        if self._task.check_mode:
            return self._look(arguments, variables)
        return self._take(arguments, variables, timeout=timeout)

    def _take(self, arguments: Dict[str, Any], variables: Dict[str, Any], *, timeout: int) -> Dict[str, Any]:
        """Ask until the lock is this run's, or the time is over."""
        deadline = time.monotonic() + timeout
        announced = False
        gone: Optional[Holder] = None
        while True:
            asker = _controller.this_run()
            if _controller.is_orphan():
                raise AnsibleActionFail("This run was ended while it waited for the lock")
            result = self._call(asker, arguments, variables, instead_of=gone)
            holder = result.get("holder")
            if result.get("failed") or holder is None:
                return result
            if result["acquired"]:
                _warn_of_previous(result, broken=arguments["break_lock"])
                return _for_people(result)
            verdict = run_lock.judge(holder, asker=asker, start_of=_controller.start_of)
            if verdict == run_lock.GONE:
                gone = holder  # taken from it, and not from one that may have come in between
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                refusal = run_lock.refusal(result["path"], holder, verdict=verdict, waited=timeout)
                return {"changed": False, "failed": True, "msg": refusal}
            if not announced:
                announced = True
                Display().display(
                    f"{variables.get('inventory_hostname', '')}: waiting up to {timeout} s "
                    f"for another run to end: {run_lock.describe(holder)}"
                )
            time.sleep(min(_POLL, left))

    def _look(self, arguments: Dict[str, Any], variables: Dict[str, Any]) -> Dict[str, Any]:
        """Warn where a real run would be refused."""
        asker = _controller.this_run()
        result = self._call(asker, arguments, variables)
        holder = result.get("holder")
        if holder is not None and not arguments["break_lock"]:
            verdict = run_lock.judge(holder, asker=asker, start_of=_controller.start_of)
            if verdict in (run_lock.RUNNING, run_lock.ELSEWHERE):
                Display().warning(run_lock.refusal(result["path"], holder, verdict=verdict, waited=0))
        return _for_people(result)

    def _call(
        self,
        asker: Holder,
        arguments: Dict[str, Any],
        variables: Dict[str, Any],
        *,
        instead_of: Optional[Holder] = None,
    ) -> Dict[str, Any]:
        """Run the module once; runs come back as Holder, and None for what can't be one."""
        given = {**arguments, "record": run_lock.render(asker)}
        if instead_of is not None:
            given["instead_of"] = run_lock.render(instead_of)
        result: Dict[str, Any] = self._execute_module(module_name=_MODULE, module_args=given, task_vars=variables)
        for name in ("holder", "previous"):
            if name in result:
                result[name] = run_lock.parse(result[name] or "")
        return result


def _warn_of_previous(result: Dict[str, Any], *, broken: bool) -> None:
    previous = result["previous"]
    if previous is None:
        return
    how = (
        "broke the lock of another run"
        if broken
        else "took over the lock of a run that has ended without giving it back"
    )
    Display().warning(f"{result['path']}: {how}: {run_lock.describe(previous)}")


def _for_people(result: Dict[str, Any]) -> Dict[str, Any]:
    for name in ("holder", "previous"):
        if result.get(name) is not None:
            result[name] = result[name].as_data()
    return result
