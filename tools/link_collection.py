# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Link this checkout as ``ansible_collections/synapse/tuning`` below the folder given.

The link is relative, so that a copied checkout never runs the code of the one it was copied from.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def link(collections: Path, checkout: Path) -> None:
    """Make or renew the link."""
    target = collections / "ansible_collections" / "synapse" / "tuning"
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    target.symlink_to(os.path.relpath(checkout, target.parent), target_is_directory=True)


if __name__ == "__main__":
    link(Path(sys.argv[1]).resolve(), Path(__file__).resolve().parents[1])
