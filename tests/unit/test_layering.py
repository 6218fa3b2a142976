# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dependencies point one way: modules -> adapters -> _core, and the core knows the standard library only."""

from __future__ import annotations

import ast
import pathlib
import sys
from collections.abc import Iterator

import pytest

PLUGINS = pathlib.Path(__file__).resolve().parents[2] / "plugins"
COLLECTION = "ansible_collections.synapse.tuning.plugins."
CORE = COLLECTION + "module_utils._core"
# What an adapter may use beside the core, the other adapters and the standard library: one library a system.
LIBRARIES = {"docker", "prometheus_client", "psycopg", "ruamel"}
# Of Ansible what is a library, too, and knows no module.
OF_ANSIBLE = ("ansible.module_utils.urls.", "ansible.module_utils.common.parameters.env_fallback")
# What these import can't be seen from the text, neither by this test nor by what ships modules to a target.
DYNAMIC = {"importlib", "imp", "runpy"}


def _layer(path: pathlib.Path) -> str:
    folder = path.relative_to(PLUGINS).parts
    if folder[0] == "module_utils":
        return "core" if "_core" in folder else "adapter"
    # Adapters of the controller, which no module can import on a target.
    if folder[0] == "plugin_utils":
        return "controller"
    if folder[0] == "action":
        return "action"
    return "other" if folder[0] == "doc_fragments" else "shell"


def _package(path: pathlib.Path) -> list[str]:
    return [*COLLECTION.rstrip(".").split("."), *path.relative_to(PLUGINS).parent.parts]


def imports(source: str, package: list[str]) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) for every import, wherever it stands; relative ones are made absolute."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{start}.{alias.name}"
        elif isinstance(node, ast.Name) and node.id == "__import__":
            yield node.lineno, "importlib.import_module"


def allowed(layer: str, name: str) -> bool:
    """Say whether a file of this layer may import this name."""
    top = name.partition(".")[0]
    if top in DYNAMIC:
        return False
    if top in sys.stdlib_module_names:
        return True
    if name.startswith(CORE + "."):
        return True
    if layer == "core":
        return False
    if name.startswith(COLLECTION + "module_utils."):
        return True
    if layer == "adapter":
        return top in LIBRARIES or name.startswith(OF_ANSIBLE)
    if layer in ("action", "controller") and name.startswith(COLLECTION + "plugin_utils."):
        return True
    return top == "ansible" and layer != "controller"


def _files() -> list[pathlib.Path]:
    return [path for path in sorted(PLUGINS.rglob("*.py")) if _layer(path) != "other"]


def test_each_layer_has_files() -> None:
    assert {"core", "adapter", "controller", "shell", "action"} <= {_layer(path) for path in _files()}


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(PLUGINS)))
def test_dependencies_point_one_way(path: pathlib.Path) -> None:
    layer = _layer(path)
    wrong = [
        f"{path.relative_to(PLUGINS)}:{line}: a file of layer {layer} must not import {name}"
        for line, name in imports(path.read_text("utf-8"), _package(path))
        if not allowed(layer, name)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "path",
    [path for path in _files() if _layer(path) not in ("shell", "action")],
    ids=lambda path: str(path.relative_to(PLUGINS)),
)
def test_only_the_shell_knows_the_module_object(path: pathlib.Path) -> None:
    """What is handed the module needs a fake one in every test."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    assert not names & {"AnsibleModule", "module"}


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("core", "import ruamel.yaml"),
        ("core", "def f():\n    from ansible.module_utils.basic import AnsibleModule"),
        ("core", f"from {COLLECTION}module_utils import _yaml"),
        ("core", f"from {COLLECTION}module_utils._files import replace"),
        ("core", "from .. import _yaml"),
        ("core", "from .._files import replace"),
        ("core", "import importlib"),
        ("core", "__import__('yaml')"),
        ("adapter", "from ansible.module_utils.basic import AnsibleModule"),
        ("adapter", "import yaml"),
        ("adapter", f"from {COLLECTION}modules import plan_info"),
        ("shell", f"from {COLLECTION}modules import plan_info"),
        ("shell", "import ruamel.yaml"),
        ("shell", f"from {COLLECTION}plugin_utils import _controller"),
        ("adapter", f"from {COLLECTION}plugin_utils import _controller"),
        ("action", f"from {COLLECTION}modules import plan_info"),
        ("adapter", "from ansible.module_utils.common.parameters import set_fallbacks"),
        ("controller", "from ansible.utils.display import Display"),
        ("controller", f"from {COLLECTION}modules import plan_info"),
    ],
)
def test_a_wrong_import_is_seen(layer: str, source: str) -> None:
    package = [*COLLECTION.rstrip(".").split("."), "module_utils", *(["_core"] if layer == "core" else [])]
    assert [name for _line, name in imports(source, package) if not allowed(layer, name)]


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("core", "from __future__ import annotations\nimport dataclasses, os.path"),
        ("core", f"from {CORE} import errors"),
        ("core", "from . import errors"),
        ("core", "from .errors import PlanError"),
        ("adapter", f"import ruamel.yaml\nfrom {COLLECTION}module_utils import _files\nfrom {CORE} import plan"),
        ("adapter", "from ansible.module_utils.urls import open_url"),
        ("controller", f"from {COLLECTION}plugin_utils import _controller"),
        ("shell", f"from ansible.module_utils.basic import AnsibleModule\nfrom {COLLECTION}module_utils import _yaml"),
        ("action", f"from ansible.plugins.action import ActionBase\nfrom {COLLECTION}plugin_utils import _controller"),
    ],
)
def test_a_right_import_is_allowed(layer: str, source: str) -> None:
    package = [*COLLECTION.rstrip(".").split("."), "module_utils", *(["_core"] if layer == "core" else [])]
    assert [name for _line, name in imports(source, package) if not allowed(layer, name)] == []
