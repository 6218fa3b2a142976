# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``ansible-test sanity`` on a copy of this checkout; arguments are handed on to it.

ansible-test refuses a linked collection, so the files that git knows or would add are copied to a real
``ansible_collections/synapse/tuning``. Its environments and caches stay below ``.cache`` too: its home is there.
"""

from __future__ import annotations

import glob
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ansible_test._internal import python_requirements

CHECKOUT = Path(__file__).resolve().parents[1]
CACHE = CHECKOUT / ".cache" / "sanity"

# Ansible's rules are for what is installed; ruff looks at the tests, which do not run on a target's older Pythons.
TESTS = "tests/"

# What ansible-test downloads as get-pip.py to fill an environment without pip. Python carries a pip: no download.
GET_PIP = """\
import subprocess
import sys

packages = [argument for argument in sys.argv[1:] if not argument.startswith("--no-")]
subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL)
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", *packages])
"""


def copy_collection(destination: Path) -> None:
    """Copy what is committed and what would be, and nothing that git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    shutil.rmtree(destination, ignore_errors=True)
    for name in filter(None, listed.split("\0")):
        source, target = CHECKOUT / name, destination / name
        if source.is_symlink() or source.is_file():  # else deleted and not yet committed
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    # ansible-test asks git for the files, and would ask this checkout's, which ignores the copy.
    subprocess.run(["git", "init", "--quiet"], cwd=destination, check=True)
    subprocess.run(["git", "add", "--all"], cwd=destination, check=True)


def seed_get_pip(home: Path) -> None:
    """Put our get-pip where ansible-test looks for a downloaded one; the name holds the version that it wants."""
    wanted = re.search(r"pip='([0-9.]+)'", inspect.getsource(python_requirements.get_venv_packages))
    if wanted is None:
        raise SystemExit("tools/sanity.py does not know which pip this ansible-test wants: see get_venv_packages")
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / f"get_pip_{wanted[1].replace('.', '_')}.py").write_text(GET_PIP, encoding="utf-8")


def search_path() -> str:
    """Return a PATH with this environment's commands first and every Python of pyenv before pyenv's shims.

    A shim exists for versions that are installed and not selected; ansible-test would take it, and fail.
    """
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    pythons = sorted(glob.glob(os.path.join(glob.escape(pyenv), "versions", "*", "bin")))
    return os.pathsep.join([str(Path(sys.executable).parent), *pythons, os.environ["PATH"]])


def main(arguments: list[str]) -> int:
    copy = CACHE / "ansible_collections" / "synapse" / "tuning"
    copy_collection(copy)
    home = CACHE / "home"
    seed_get_pip(home)
    own = Path.home()
    environment = {
        **os.environ,
        "PATH": search_path(),
        "HOME": str(home),
        # pip's settings and cache stay the user's own.
        "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", str(own / ".config")),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(own / ".cache")),
    }
    for name in ("ANSIBLE_CONFIG", "ANSIBLE_COLLECTIONS_PATH", "PYTHONPATH"):
        environment.pop(name, None)
    command = ["ansible-test", "sanity", "--color", "no", "--exclude", TESTS, *arguments]
    return subprocess.run(command, cwd=copy, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
