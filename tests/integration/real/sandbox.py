# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory, and an account without rights, for programs that refuse to run as root."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

__all__ = ["directory", "give", "unprivileged"]

_ACCOUNT = "nobody"


def unprivileged() -> dict[str, Any]:
    """The keywords that make subprocess give up root; none where nothing is to be given up."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(_ACCOUNT)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def give(path: pathlib.Path) -> None:
    """Make the unprivileged account the owner."""
    account = unprivileged()
    if account:
        os.chown(path, account["user"], account["group"])


@contextlib.contextmanager
def directory() -> Iterator[pathlib.Path]:
    """A directory that the unprivileged account owns; removed afterwards.

    pytest's own tmp_path will not do: its parents are closed to everybody but root.
    """
    path = pathlib.Path(tempfile.mkdtemp(prefix="synapse-tuning-"))
    try:
        give(path)
        path.chmod(0o755)
        yield path
    finally:
        shutil.rmtree(path)
