# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A thing to do, and the command for it."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict, dataclass
from typing import Any, Dict

__all__ = ["BETTER", "FAILING", "LESS", "SEE_MORE", "Step", "playbook"]

FAILING, LESS, BETTER, SEE_MORE = range(4)
"""What fails or soon does; what returns memory; what makes it better; what would let one see more."""
# What neither a shell nor Ansible reads as anything but a text.
_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9/._-]*")
_URGENCIES = ("failing", "memory", "better", "see_more")


@dataclass(frozen=True)
class Step:
    """One of them.

    Attributes:
        urgency: C(FAILING), C(LESS), C(BETTER) or C(SEE_MORE).
        title: what is the matter. figure: how that is known. advice: what to do.
        command: a line for a shell, empty for none.
        returns: bytes of memory that it gives back; 0 for not known.
    """

    urgency: int
    title: str
    figure: str
    advice: str = ""
    command: str = ""
    returns: float = 0

    def as_data(self) -> Dict[str, Any]:
        """Itself as plain values."""
        return {**asdict(self), "urgency": _URGENCIES[self.urgency], "returns": int(self.returns)}


def playbook(name: str, **variables: Any) -> str:
    """The command that runs a playbook of this collection, safe to paste whatever the variables hold."""
    command = f"ansible-playbook synapse.tuning.{name} -i inventory.yml --become"
    if not variables:
        return command
    if all(isinstance(value, (str, int)) and _PLAIN.fullmatch(str(value)) for value in variables.values()):
        return " ".join([command, *(f"-e {key}={value}" for key, value in variables.items())])
    # JSON without anything but ASCII: a room's ID may hold what turns the direction of a line.
    return f"{command} -e {shlex.quote(json.dumps(variables))}"
