# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Makefile's targets stand on: the choice of a Python, the link, and the variables of `make tune`."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def fake_pythons(tmp_path: pathlib.Path) -> pathlib.Path:
    """A home with pyenv's shim for 3.13 (not selected, so it fails) and a Debian-like 3.12 without venv."""
    shims = tmp_path / "pyenv" / "shims"
    shims.mkdir(parents=True)
    _script(shims / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    _script(shims / "python3.12", "case \"$*\" in *ensurepip*) exit 1;; esac; echo 'Python 3.12.9'")
    return tmp_path


def _script(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _usable(path: pathlib.Path) -> None:
    _script(path, f'case "$*" in *sys.executable*) echo "{path}";; esac')


def _find_python(home: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(TOOLS / "find-python"), *arguments],
        env={"PATH": f"{home}/pyenv/shims:/usr/bin:/bin", "PYENV_ROOT": str(home / "pyenv"), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_python_behind_a_shim_that_fails_is_found(fake_pythons: pathlib.Path) -> None:
    real = fake_pythons / "pyenv" / "versions" / "3.13.0" / "bin" / "python3.13"
    _usable(real)
    assert _find_python(fake_pythons, "3.13", "3.12").stdout.strip() == str(real)


def test_a_python_without_venv_is_passed_over(fake_pythons: pathlib.Path) -> None:
    older = fake_pythons / "pyenv" / "shims" / "python3.11"
    _usable(older)
    assert _find_python(fake_pythons, "3.13", "3.12", "3.11").stdout.strip() == str(older)


def test_no_python_is_an_error_that_says_what_to_do(fake_pythons: pathlib.Path) -> None:
    answer = _find_python(fake_pythons, "3.13", "3.12")
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert "3.13 3.12" in answer.stderr
    assert "apt-get install python3 python3-venv" in answer.stderr


def _extra_vars(*arguments: str, cwd: pathlib.Path) -> dict[str, object]:
    printed = subprocess.run(
        [sys.executable, str(TOOLS / "extra_vars.py"), *arguments], cwd=cwd, capture_output=True, text=True, check=True
    )
    variables: dict[str, object] = json.loads(printed.stdout)
    return variables


def test_variables_are_typed_and_empty_ones_left_out(tmp_path: pathlib.Path) -> None:
    assert _extra_vars("create=true", "users=5", "ram=2G", "cpus=", "server_name=a=b", cwd=tmp_path) == {
        "synapse_tuning_create": True,
        "synapse_tuning_users": 5,
        "synapse_tuning_ram": "2G",
        "synapse_tuning_server_name": "a=b",
    }


def test_a_number_that_is_none_is_left_for_the_playbook_to_refuse(tmp_path: pathlib.Path) -> None:
    assert _extra_vars("users=-1", cwd=tmp_path) == {"synapse_tuning_users": -1}
    assert _extra_vars("users=five", cwd=tmp_path) == {"synapse_tuning_users": "five"}


def test_a_destination_is_absolute_and_may_hold_any_character(tmp_path: pathlib.Path) -> None:
    name = 'it\'s "my"'
    assert _extra_vars(f"project_dir=./{name}", cwd=tmp_path) == {"synapse_tuning_project_dir": str(tmp_path / name)}


@pytest.mark.parametrize(("given", "applies"), [((), False), (("APPLY=",), False), (("APPLY=true",), True)])
def test_make_tune_applies_only_where_it_is_told_to(
    tmp_path: pathlib.Path, given: tuple[str, ...], applies: bool
) -> None:
    """And where it is not told, it does not install what only that takes."""
    programs = tmp_path / "venv" / "bin"
    _script(programs / "ansible-playbook", 'for argument; do echo "$argument"; done')
    (programs / "python").symlink_to(sys.executable)
    command = ["make", "--no-print-directory", "-C", str(TOOLS.parent), f"VENV={tmp_path / 'venv'}", *given, "tune"]
    # Not what the make that runs these tests was told.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES")}
    planned = subprocess.run([*command, "--dry-run"], env=environment, capture_output=True, text=True, check=True)
    assert ("requirements/apply.txt" in planned.stdout) is applies
    for stamp in ("runtime", "apply"):
        (tmp_path / "venv" / f".stamp-{stamp}").touch()
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(printed.stdout.splitlines()[-1])["synapse_tuning_apply"] is applies


def test_the_link_is_relative_so_that_a_copy_uses_its_own_code(tmp_path: pathlib.Path) -> None:
    checkout = tmp_path / "a checkout"
    (checkout / "tools").mkdir(parents=True)
    (checkout / "tools" / "link_collection.py").write_bytes((TOOLS / "link_collection.py").read_bytes())
    for _run in ("made", "renewed"):
        subprocess.run([sys.executable, "tools/link_collection.py", ".venv/collections"], cwd=checkout, check=True)
    copy = tmp_path / "a copy"
    checkout.rename(copy)
    link = copy / ".venv" / "collections" / "ansible_collections" / "synapse" / "tuning"
    assert not os.path.isabs(os.readlink(link))
    assert link.resolve() == copy
