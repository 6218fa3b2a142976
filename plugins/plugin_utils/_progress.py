# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show how far a long module is: it prints nothing while it works, so it is run for some seconds at a time."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.synapse.tuning.plugins.plugin_utils import _controller

__all__ = ["run_in_slices"]


def run_in_slices(
    action: Any, module_name: str, task_vars: Optional[Mapping[str, Any]], *, seconds: int
) -> Dict[str, Any]:
    """Run a module until it has finished, and print its progress.

    action: the action plugin, an ActionBase, that stands for the module.
    module_name: with its collection, such as C(synapse.tuning.room). The module takes the options C(slice), the
        seconds to work for, and C(follow), what its last result had by that name; it returns C(finished),
        C(progress), one line for people, and C(follow).
    seconds: how long a slice is.

    Returns the last result: C(changed) where any slice changed something, with all warnings, without C(follow).
    There is one call, and no progress, with C(async), in check mode, and where the task itself has C(slice).
    """
    task = action._task
    arguments = dict(task.args)
    if task.async_val or task.check_mode or arguments.get("slice"):
        return dict(
            action._execute_module(
                module_name=module_name, module_args=arguments, task_vars=task_vars, wrap_async=task.async_val
            )
        )
    changed = False
    warnings: List[Any] = []
    shown = ""
    follow: Optional[Mapping[str, Any]] = None
    while True:
        given = {**arguments, "slice": seconds, **({} if follow is None else {"follow": follow})}
        result: Dict[str, Any] = action._execute_module(module_name=module_name, module_args=given, task_vars=task_vars)
        follow = result.pop("follow", None)
        changed = changed or bool(result.get("changed"))
        warnings += [each for each in result.get("warnings") or () if each not in warnings]
        if result.get("failed") or result.get("finished", True) or not follow:
            result["changed"] = changed
            return {**result, "warnings": warnings} if warnings else result
        if _controller.is_orphan():
            # Nobody would see the end of it; what the module has begun goes on without us.
            return {**result, "changed": changed, "failed": True, "msg": "This run was ended while it waited"}
        progress = str(result.get("progress") or "")
        if progress and progress != shown and not task.no_log:
            shown = progress
            host = (task_vars or {}).get("inventory_hostname", "")
            action._display.display(f"{host}: {module_name.rpartition('.')[2]}: {progress}")
