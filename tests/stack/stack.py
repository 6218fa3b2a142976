# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real stack for tests: Docker Engine, images, and a stock Synapse with PostgreSQL.

    stack.py images     start the engine and make the images that are missing
    stack.py made       that, and make the database of heavy rooms where it is missing
    stack.py up         that, and bring the stock project up with an admin and two users
    stack.py status     say what is up
    stack.py run ...    run a command with the engine, and stop it then where it was not up
    stack.py create DIR copy the stock project there, with secrets and ports of its own, and start nothing
    stack.py env        print the variables that docker and Compose need: eval "$(stack.py env)"
    stack.py down       stop everything; the images stay for the next time
    stack.py purge      remove the images and all else that is kept

Everything it keeps is below ${XDG_CACHE_HOME:-~/.cache}/synapse-tuning/stack. It needs root, and Debian's
packages docker.io, iptables and debootstrap.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shlex
import shutil
import subprocess
import sys

import client
import deployment
import images
import made
from engine import Engine, StackError, say

PORTS = (8008, 9000)
USERS = {"admin": True, "alice": False, "bob": False}


def make_images(engine: Engine) -> None:
    """Have the engine up, and all images in it."""
    engine.keep()
    images.build_all(engine)
    for image in images.IMAGES:
        size = int(engine.docker("image", "inspect", "--format", "{{.Size}}", image.tag).stdout)
        say(f"{image.tag}: {size / 1e6:.0f} MB")


def make_database(engine: Engine) -> None:
    """Have the made database, which tests restore."""
    make_images(engine)
    made.ensure(engine)


def up(engine: Engine) -> None:
    """Have the stock project up, with its users."""
    make_images(engine)
    directory = engine.directory / "project"
    if (directory / ".env").is_file():
        project = deployment.load(engine, directory)
    else:
        project = deployment.create(engine, directory, ports=PORTS)
    say("starting Synapse and PostgreSQL (about 20 s the first time)")
    project.up()
    tokens = {}
    for name, admin in USERS.items():
        try:
            user = project.register(name, admin=admin)
        except client.MatrixError as error:
            if error.status != 400:
                raise
            user = project.login(name)  # it is there from the last time
        tokens[user.user_id] = user.token
    (directory / "users.json").write_text(json.dumps(tokens, indent=2) + "\n", encoding="utf-8")
    (directory / "users.json").chmod(0o600)
    say(f"up: {project.url} (metrics {project.metrics_url}/_synapse/metrics), project in {directory}")


def status(engine: Engine) -> None:
    """Say what is up; the exit status is 1 where the engine is not."""
    if not engine.running():
        raise StackError(f"the engine is not up (it would be in {engine.directory})")
    print(f"engine      up, {engine.host}")
    for image in images.IMAGES:
        print(f"image       {'made' if images.present(engine, image) else 'to be made'}, {image.tag}")
    for line in engine.docker("ps", "--format", "{{.Names}}: {{.Status}}").stdout.splitlines():
        print(f"container   {line}")


def create(engine: Engine, directory: pathlib.Path) -> None:
    """Copy the stock project to a directory that does not exist yet."""
    deployment.create(engine, directory)


def run(engine: Engine, arguments: list[str]) -> None:
    """Run a command that finds the engine, with all images, in its environment; exit as it does."""
    with engine.lease():
        images.build_all(engine)
        sys.exit(subprocess.run(arguments, env=engine.environment(), check=False).returncode)


def environment(engine: Engine) -> None:
    """Print the variables as a shell's commands."""
    for name, value in engine.variables().items():
        print(f"export {name}={shlex.quote(value)}")


def down(engine: Engine) -> None:
    """Stop everything, and forget the stock project's data."""
    directory = engine.directory / "project"
    if (directory / ".env").is_file():
        if engine.running():
            deployment.load(engine, directory).remove()
        else:
            shutil.rmtree(directory)
    engine.stop()


COMMANDS = {
    "images": make_images,
    "made": make_database,
    "up": up,
    "status": status,
    "run": run,
    "create": create,
    "env": environment,
    "down": down,
    "purge": Engine.purge,
}


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    parsers = {name: commands.add_parser(name) for name in COMMANDS}
    parsers["run"].add_argument("arguments", nargs=argparse.REMAINDER)
    parsers["create"].add_argument("directory", type=pathlib.Path)
    arguments = vars(parser.parse_args())
    try:
        COMMANDS[arguments.pop("command")](Engine(), **arguments)
    except StackError as error:
        sys.exit(f"stack: {error}")


if __name__ == "__main__":
    main()
