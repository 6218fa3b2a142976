# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a target must run on the oldest Python there: every plugin file is imported under a real 3.9."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"

# Runs under 3.9: imports each name given, and prints those that fail with the reason.
IMPORTER = """
import importlib, json, sys, traceback
failed = {}
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
    except BaseException:
        failed[name] = traceback.format_exc()
json.dump(failed, sys.stdout)
"""


def _python39() -> str | None:
    """A Python 3.9 that runs (a pyenv shim may exist for a version that is not selected)."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    candidates = [shutil.which("python3.9"), *map(str, sorted(pyenv.glob("versions/3.9.*/bin/python3.9")))]
    for candidate in filter(None, candidates):
        answer = subprocess.run([candidate, "-V"], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and "3.9." in answer.stdout + answer.stderr:
            return candidate
    return None


@pytest.fixture(scope="module")
def python39() -> str:
    found = _python39()
    if found is None:
        pytest.skip("no Python 3.9 on this machine")
    return found


@pytest.fixture(scope="module")
def search_path(tmp_path_factory: pytest.TempPathFactory, collections_path: pathlib.Path) -> str:
    """Only what a 3.9 target has: the collection, ruamel.yaml, and the module_utils of ansible-core."""
    folder = tmp_path_factory.mktemp("python39")
    ansible = _folder_of("ansible")
    (folder / "ansible").mkdir()
    (folder / "ansible" / "__init__.py").touch()
    # The controller's half of ansible-core has a higher floor; its module_utils keep the targets'.
    (folder / "ansible" / "module_utils").symlink_to(ansible / "module_utils")
    (folder / "ansible" / "release.py").symlink_to(ansible / "release.py")
    (folder / "ruamel").mkdir()
    (folder / "ruamel" / "yaml").symlink_to(_folder_of("ruamel.yaml"))
    return os.pathsep.join([str(folder), str(collections_path)])


def _folder_of(package: str) -> pathlib.Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    return pathlib.Path(spec.origin).parent


def _modules() -> list[str]:
    names = []
    for path in sorted(PLUGINS.rglob("*.py")):
        # Action plugins run on the controller.
        if path.relative_to(PLUGINS).parts[0] != "action":
            parts = path.relative_to(ROOT).with_suffix("").parts
            names.append(".".join(("ansible_collections", "synapse", "tuning", *parts)).removesuffix(".__init__"))
    return names


def _import_all(python: str, search_path: str, names: list[str], cwd: pathlib.Path) -> dict[str, str]:
    environment = {**os.environ, "PYTHONPATH": search_path, "PYTHONDONTWRITEBYTECODE": "1"}
    answer = subprocess.run(
        [python, "-c", IMPORTER],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=cwd,
    )
    failed: dict[str, str] = json.loads(answer.stdout)
    return failed


def test_every_plugin_file_imports(python39: str, search_path: str, tmp_path: pathlib.Path) -> None:
    names = _modules()
    assert any(name.startswith("ansible_collections.synapse.tuning.plugins.modules.") for name in names)
    failed = _import_all(python39, search_path, names, tmp_path)
    assert not failed, "\n".join(failed.values())


def test_newer_syntax_is_seen(python39: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "too_new.py").write_text("match 1:\n    case 1:\n        pass\n")
    (tmp_path / "runtime_union.py").write_text("Both = int | str\n")
    failed = _import_all(python39, str(tmp_path), ["too_new", "runtime_union"], tmp_path)
    assert set(failed) == {"too_new", "runtime_union"}
