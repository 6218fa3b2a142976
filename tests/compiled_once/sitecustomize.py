# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what Python compiles out of zip files, in ``COMPILED_ONCE_FOLDER``; tests/conftest.py puts this on PYTHONPATH.

Ansible sends every task's module as a zip of sources, and Python compiles them all again each time: a third of what the
tests' playbooks compute. The same sources run, found by their hash; a file's name in a traceback is that of the first zip.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
import os
import sys
import zipimport
from typing import Any

_FOLDER = os.environ.get("COMPILED_ONCE_FOLDER", "")
# Private to Python: one without it only stays slow.
_compile: Any = getattr(zipimport, "_compile_source", None)


@functools.cache  # zipimport compiles a module for its name's sake, and again to run it
def _compiled(pathname: str, source: bytes) -> Any:
    name = f"{hashlib.sha256(source).hexdigest()}.{sys.implementation.cache_tag}"
    kept = os.path.join(_FOLDER, name)
    try:
        with open(kept, "rb") as file:
            return marshal.load(file)
    except (OSError, ValueError, EOFError, TypeError):  # not there, or not whole
        pass
    code = _compile(pathname, source)
    try:
        own = f"{kept}.{os.getpid()}"
        with open(own, "wb") as file:
            marshal.dump(code, file)
        os.replace(own, kept)  # whole or not at all: others read it at the same time
    except OSError:
        pass
    return code


if _FOLDER and _compile is not None:
    zipimport._compile_source = _compiled  # type: ignore[attr-defined]
