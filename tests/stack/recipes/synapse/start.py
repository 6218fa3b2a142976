# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start Synapse as its official image does, as far as a deployment can tell.

    start.py [run] [ARGUMENT ...]    Synapse becomes this process; the arguments are handed on
    start.py generate                write a configuration with its keys, and end

Environment: SYNAPSE_CONFIG_DIR (/data), SYNAPSE_CONFIG_PATH (its homeserver.yaml), SYNAPSE_WORKER
(synapse.app.homeserver), UID and GID (991); for `generate` SYNAPSE_SERVER_NAME, SYNAPSE_REPORT_STATS
and SYNAPSE_DATA_DIR (/data) as well.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import NoReturn

DEFAULT_ID = "991"


def owner() -> tuple[str, str]:
    """The user and the group that Synapse is to be."""
    return os.environ.get("UID", DEFAULT_ID), os.environ.get("GID", DEFAULT_ID)


def as_owner(command: list[str]) -> list[str]:
    """The command that runs this one without root's rights, where there are any to drop."""
    user, group = owner()
    if os.getuid() != 0 or user == "0":
        return command
    return ["gosu", f"{user}:{group}", *command]


def paths() -> tuple[str, str]:
    """The directory of the configuration and its main file."""
    directory = os.environ.get("SYNAPSE_CONFIG_DIR", "/data")
    return directory, os.environ.get("SYNAPSE_CONFIG_PATH", f"{directory}/homeserver.yaml")


def give_away(directory: str) -> None:
    """Make the directory and all in it the owner's."""
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", ":".join(owner()), directory], check=True)


def become(command: list[str]) -> NoReturn:
    """Be that program from here on, under this process's number: signals reach it, and so does its end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvp(command[0], command)


def generate() -> NoReturn:
    """Write a configuration and the keys that it names."""
    missing = [name for name in ("SYNAPSE_SERVER_NAME", "SYNAPSE_REPORT_STATS") if name not in os.environ]
    if missing:
        sys.exit(f"generate needs the environment variables {' and '.join(missing)}")
    directory, path = paths()
    data = os.environ.get("SYNAPSE_DATA_DIR", "/data")
    for each in (directory, data):
        os.makedirs(each, exist_ok=True)
        give_away(each)
    # Relative paths in what is generated (the media store) are the data directory's.
    os.chdir(data)
    become(
        as_owner(
            [
                sys.executable,
                "-m",
                "synapse.app.homeserver",
                "--generate-config",
                f"--server-name={os.environ['SYNAPSE_SERVER_NAME']}",
                f"--report-stats={os.environ['SYNAPSE_REPORT_STATS']}",
                f"--config-path={path}",
                f"--config-directory={directory}",
                f"--data-directory={data}",
                "--open-private-ports",
            ]
        )
    )


def run(arguments: list[str]) -> NoReturn:
    """Become Synapse."""
    _config, path = paths()
    if not any(each == "-c" or each.startswith("--config-path") for each in arguments):
        if not os.path.exists(path):
            sys.exit(
                f"{path} does not exist: make one with the argument `generate`, "
                "or name another one by SYNAPSE_CONFIG_PATH"
            )
        arguments = [*arguments, "--config-path", path]
    allocator = f"/usr/lib/{platform.machine()}-linux-gnu/libjemalloc.so.2"
    if os.path.isfile(allocator):
        # Whatever the deployment had set there is replaced, as in the official image.
        os.environ["LD_PRELOAD"] = allocator
    else:
        print(f"there is no {allocator}: running without jemalloc", file=sys.stderr)
    become(as_owner([sys.executable, "-m", os.environ.get("SYNAPSE_WORKER", "synapse.app.homeserver"), *arguments]))


def main(arguments: list[str]) -> NoReturn:
    """Do what the first argument says; without one, or with options only, run."""
    if not arguments or arguments[0].startswith("-"):
        run(arguments)
    if arguments[0] == "run":
        run(arguments[1:])
    if arguments[0] == "generate":
        generate()
    sys.exit(f"there is no mode {arguments[0]}; there are run and generate")


if __name__ == "__main__":
    main(sys.argv[1:])
