# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print the report as it stands, which no module can: callbacks escape the line ends of results."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.synapse.tuning.plugins.module_utils._core.report import Run, render

# Narrower, the reasons become columns of single words; wider, lines that nobody reads.
_NARROWEST = 100
_WIDEST = 120

_RESULTS = ("deployment", "compose", "homeserver", "postgresql", "effective")


class ActionModule(ActionBase):
    """Runs on the controller alone and needs no connection."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "plan": {"type": "dict", "required": True},
                "deployment": {"type": "dict"},
                "compose": {"type": "dict"},
                "homeserver": {"type": "dict"},
                "postgresql": {"type": "dict"},
                "plan_path": {"type": "str", "default": ""},
                "project_dir": {"type": "str", "default": ""},
                "compressor": {"type": "dict"},
                "apply": {"type": "bool", "default": False},
                "interruptions": {"type": "list", "elements": "str"},
                "effective": {"type": "dict"},
                "only_verified": {"type": "bool", "default": False},
                "width": {"type": "int"},
            }
        )
        only_verified = arguments.pop("only_verified")
        width = arguments.pop("width") or min(max(Display().columns, _NARROWEST), _WIDEST)
        for name in _RESULTS:
            arguments[name] = _ran(arguments[name])
        run = Run(
            host=(task_vars or {}).get("inventory_hostname", ""),
            check_mode=bool(self._task.check_mode),
            **arguments,
        )
        Display().display(render(run, width=width, only_verified=only_verified))
        return {"changed": False}


def _ran(result: Optional[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """A task that was skipped registers a result, too."""
    return None if result is None or result.get("skipped") else result
