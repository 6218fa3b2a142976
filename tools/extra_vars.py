# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print `make tune`'s variables as the JSON that ``ansible-playbook --extra-vars`` takes.

Each argument is NAME=VALUE and becomes ``synapse_tuning_NAME``; an empty value is left to the role's default.
JSON rather than ``-e name=value``, for that form splits at spaces and turns every number into text.
"""

from __future__ import annotations

import json
import os
import sys

PATHS = {"project_dir", "homeserver_path", "plan_path"}


def convert(name: str, value: str) -> str | int | bool:
    """Return the value as Ansible should see it: paths absolute, whole numbers and booleans typed."""
    if name in PATHS:
        return os.path.abspath(os.path.expanduser(value))
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.isascii() and value.removeprefix("-").isdigit() else value


def main(arguments: list[str]) -> None:
    pairs = (argument.partition("=") for argument in arguments)
    print(json.dumps({f"synapse_tuning_{name}": convert(name, value) for name, _equals, value in pairs if value}))


if __name__ == "__main__":
    main(sys.argv[1:])
