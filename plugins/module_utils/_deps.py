# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to say that a Python library is missing on the target.

Adapters import optional libraries from here, or from a C(_deps_*) of their own; a
module asks C(Library.missing) before it calls them, and fails with
C(missing_required_lib(name, reason=reason)).
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any, Optional

__all__ = ["RUAMEL_YAML", "Library", "ruamel_yaml"]


@dataclass(frozen=True)
class Library:
    """A library that a module needs.

    name: as pip knows it.  reason: what needs it and how to install it.
    error: the traceback of the failed import; None where the library is there.
    """

    name: str
    reason: str
    error: Optional[str]

    @property
    def missing(self) -> bool:
        """True where the library cannot be imported."""
        return self.error is not None


ruamel_yaml: Any = None
_ruamel_error: Optional[str] = None
try:
    import ruamel.yaml as ruamel_yaml
except ImportError:
    _ruamel_error = traceback.format_exc()

RUAMEL_YAML = Library(
    name="ruamel.yaml",
    reason=(
        "to edit YAML files without losing comments: 'apt install python3-ruamel.yaml' on Debian "
        "and Ubuntu, else 'pip install ruamel.yaml' for the Python that Ansible uses on this host"
    ),
    error=_ruamel_error,
)
