# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files in tests/fixtures/homeserver, as bytes, and what is particular about each."""

from __future__ import annotations

import dataclasses
import pathlib

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "homeserver"


@dataclasses.dataclass(frozen=True)
class Case:
    """One file.

    name: of the file; C(.crlf) and C(.bom) in it say how its bytes differ from the stored ones (git and
    editors would not keep them). sqlite: it has no PostgreSQL. owned: further lines that an edit may
    take away, change or add, as regular expressions.
    """

    name: str
    sqlite: bool = False
    owned: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        text = (FIXTURES / self.name).read_text(encoding="utf-8")
        if ".crlf." in self.name:
            text = text.replace("\n", "\r\n")
        return ("\ufeff" if ".bom." in self.name else "") + text

    def install(self, folder: pathlib.Path) -> pathlib.Path:
        """Write it as a folder's homeserver.yaml; return its path."""
        path = folder / "homeserver.yaml"
        path.write_bytes(self.text.encode())
        return path


_PARTICULAR = {
    "alias_section.yaml": Case("alias_section.yaml", owned=(r"  args:(?: \*database)?",)),
    "anchors.yaml": Case("anchors.yaml", owned=(r"  per_cache_factors: \*factors", r"event_cache_size: \*size")),
    "autotuned.yaml": Case(
        "autotuned.yaml",
        owned=(
            r"  cache_autotuning:",
            r"    (?:max|target)_cache_memory_usage: \w+",
            r"    min_cache_ttl: 5m",
            r"    # between the two",
        ),
    ),
    "caches_null.yaml": Case("caches_null.yaml", owned=(r"caches:   # nothing yet", r"limit_remote_rooms: ~")),
    "documents.yaml": Case("documents.yaml", owned=(r"database: \{.*",)),
    "empty.yaml": Case("empty.yaml", sqlite=True),
    "flow.yaml": Case("flow.yaml", owned=(r'  "database": \{.*', r'    "per_cache_factors": \{.*')),
    "generated.yaml": Case("generated.yaml", sqlite=True),
    "notepad.bom.crlf.yaml": Case("notepad.bom.crlf.yaml", owned=(r"  args: \{.*",)),
    "only_comments.yaml": Case("only_comments.yaml", sqlite=True),
    "quoted_numbers.yaml": Case("quoted_numbers.yaml", owned=(r"  per_cache_factors: \{.*",)),
    "sqlite.yaml": Case("sqlite.yaml", sqlite=True),
    "two_databases.yaml": Case("two_databases.yaml", owned=(r"    args: \{.*",)),
}
CASES = [_PARTICULAR.get(path.name, Case(path.name)) for path in sorted(FIXTURES.iterdir()) if path.suffix == ".yaml"]
