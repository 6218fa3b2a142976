# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose files in tests/fixtures/compose, as bytes in a project, and what is to be found in each."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from sample_plan import sample_plan

from ansible_collections.synapse.tuning.plugins.module_utils._compose_file import Request

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "compose"


@dataclasses.dataclass(frozen=True)
class Case:
    """One file.

    name: of the file; C(.crlf) and C(.bom) in it say how its bytes differ from the
    stored ones (git and editors would not keep them). synapse, db: its services.
    options: what the module has to be told. followers: services that an anchor ties
    to the tuned ones. dotenv: what lies in C(.env) beside it.
    """

    name: str
    synapse: str = "synapse"
    db: str = "db"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    followers: tuple[str, ...] = ()
    dotenv: str | None = None

    @property
    def text(self) -> str:
        text = (FIXTURES / self.name).read_text(encoding="utf-8")
        if ".crlf." in self.name:
            text = text.replace("\n", "\r\n")
        return ("\ufeff" if ".bom." in self.name else "") + text

    def install(self, folder: pathlib.Path) -> pathlib.Path:
        """Write it as the compose file of a project; return its path."""
        path = folder / "compose.yml"
        path.write_bytes(self.text.encode())
        if self.dotenv is not None:
            (folder / ".env").write_text(self.dotenv, encoding="utf-8")
        return path

    def request(self, folder: pathlib.Path, **options: Any) -> Request:
        return Request(**{"plan": sample_plan(), "project_dir": str(folder), **self.options, **options})


CASES = (
    Case("anchors.yml", db="postgres"),
    Case("article.yml"),
    Case("bridges.yml", synapse="matrix-synapse", db="synapse-db"),
    Case("config_file.yml", db="postgresql"),
    Case("double_quoted.yml"),
    Case("environment_alias.yml", db="postgres"),
    Case("existing_deploy.yml"),
    Case("flow_style.yml"),
    Case("legacy_2_4.yml", db="postgres"),
    Case("list_four_spaces.yml", db="postgresql"),
    Case("literal_block.yml", db="postgres"),
    Case("mas.yml", db="postgres-synapse"),
    Case("no_final_newline.yml"),
    Case("non_ascii.yml", db="datenbank"),
    Case("notations.yml", db="database"),
    Case("notepad.bom.crlf.yml"),
    Case("plain_multiline.yml", options={"synapse_service": "synapse"}),
    Case("several_documents.yml"),
    Case("shared_anchor.yml", followers=("bridge-db", "other-db")),
    Case("traefik.yml", db="postgres"),
    Case("unindented_lists.yml", db="postgres"),
    Case(
        "variables.yml", db="postgres", dotenv="SYNAPSE_TAG=v1.150.0\nPG_WORK_MEM=4096kB\nPG_EXTRA_ARGS=-c fsync=on\n"
    ),
    Case("windows.crlf.yml"),
    Case("workers.yml", db="postgres", followers=("synapse-generic-worker-1", "synapse-federation-sender")),
)
