# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a project Compose reads, and how it fills in variables."""

from __future__ import annotations

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils._compose_project import (
    Project,
    interpolate,
    parse_dotenv,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem

# As compose-go orders them; tests/integration/test_compose_config.py asks the real one.
NAMES = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"]
OVERRIDES = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
]


def test_the_first_of_the_names_that_compose_looks_for(tmp_path):
    for name in reversed(NAMES):
        (tmp_path / name).write_text("services: {}\n")
        assert Project.find(project_dir=str(tmp_path)).path == str(tmp_path / name)


def test_the_override_file_that_is_there_or_would_be(tmp_path):
    (tmp_path / "compose.yml").write_text("services: {}\n")
    assert Project.find(project_dir=str(tmp_path)).override_path == str(tmp_path / OVERRIDES[0])
    assert Project.find(project_dir=str(tmp_path)).later_files == []
    for name in reversed(OVERRIDES):
        (tmp_path / name).write_text("services: {}\n")
        project = Project.find(project_dir=str(tmp_path))
        assert project.override_path == str(tmp_path / name)
        assert project.later_files == [str(tmp_path / name)]


def test_a_file_of_another_name_has_no_override_of_its_own(tmp_path):
    (tmp_path / "stack.yml").write_text("services: {}\n")
    (tmp_path / "compose.override.yml").write_text("services: {}\n")
    project = Project.find(path=str(tmp_path / "stack.yml"))
    assert project.later_files == []
    assert not project.reads(project.path)


def test_compose_file_in_dotenv_says_which_files(tmp_path):
    for name in ("base.yml", "local.yml", "compose.yml", "compose.override.yml"):
        (tmp_path / name).write_text("services: {}\n")
    (tmp_path / ".env").write_text("COMPOSE_FILE=base.yml:missing.yml:local.yml\n")
    project = Project.find(project_dir=str(tmp_path))
    assert project.path == str(tmp_path / "base.yml")
    assert project.later_files == [str(tmp_path / "local.yml")]
    assert project.reads(str(tmp_path / "local.yml"))
    assert not project.reads(str(tmp_path / "compose.override.yml"))
    (tmp_path / ".env").write_text("COMPOSE_PATH_SEPARATOR=;\nCOMPOSE_FILE=compose.yml;local.yml\n")
    assert Project.find(project_dir=str(tmp_path)).listed == (
        str(tmp_path / "compose.yml"),
        str(tmp_path / "local.yml"),
    )


@pytest.mark.parametrize(
    "options, said",
    [
        ({"project_dir": "nowhere"}, "there is no such directory"),
        ({"project_dir": "."}, "holds none of compose.yaml, compose.yml"),
        ({"path": "nowhere.yml"}, "there is no such file"),
        ({"path": "."}, "there is no such file"),
    ],
)
def test_no_file(tmp_path, options, said):
    with pytest.raises(FileProblem) as caught:
        Project.find(**{key: str(tmp_path / value) for key, value in options.items()})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


VARIABLES = {"A": "1", "EMPTY": "", "NAME_2": "two"}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("plain", "plain"),
        ("$A ${A} ${NAME_2}$A", "1 1 two1"),
        ("${B}|$B", "|"),
        ("${B:-x}${B-x}${EMPTY:-x}${EMPTY-x}${A:-x}", "xxx1"),
        ("${B:-}", ""),
        ("${B:-${A}}${B:-${C:-deep}}", "1deep"),
        ("${A:+yes}${B:+yes}${EMPTY:+yes}${EMPTY+yes}", "yesyes"),
        ("${A:?needed}${B:?needed}", "1"),
        ("$$A $${A} 5$", "$A ${A} 5$"),
        ("$2y$$05", "$2y$05"),
    ],
)
def test_variables(text, expected):
    assert interpolate(text, VARIABLES) == expected


def test_dotenv():
    text = (
        "\ufeff# a comment\r\nA=1\r\nexport B = two words # and a comment\nC='lit$A' # x\n"
        'D="a\\"b ${A}\nnext line"\nEMPTY=\nHASH=a#b\nF: yaml-like\nnonsense\nG=${A}-$B\n'
    )
    assert parse_dotenv(text) == {
        "A": "1",
        "B": "two words",
        "C": "lit$A",
        "D": 'a"b 1\nnext line',
        "EMPTY": "",
        "HASH": "a#b",
        "F": "yaml-like",
        "G": "1-two words",
    }
