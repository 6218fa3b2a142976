# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make an administrator, a room that is used and one that everybody has left, and write down which."""

from __future__ import annotations

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "stack"))

import deployment
from engine import Engine


def main() -> None:
    """Leave rooms.json and token in the project's directory."""
    directory = pathlib.Path(sys.argv[1])
    admin = deployment.load(Engine(), directory).register("root", admin=True)
    rooms = {"used": admin.create_room(name="used"), "left": admin.create_room(name="left")}
    admin.call("POST", f"/_matrix/client/v3/rooms/{rooms['left']}/leave", {})
    token = directory / "token"
    token.touch(mode=0o600)
    token.write_text(f"{admin.token}\n", encoding="ascii")
    (directory / "rooms.json").write_text(json.dumps(rooms), encoding="ascii")


if __name__ == "__main__":
    main()
