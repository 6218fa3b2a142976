# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and durations in the notation of the program that reads them.

Synapse takes an integer with K, M, G or T; PostgreSQL takes kB, MB, GB and TB
(and a bare integer in the parameter's own unit); Compose takes b, k, m and g in
either case. All of them mean powers of 1024.
"""

from __future__ import annotations

import re
from typing import Union

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import UnitError

__all__ = [
    "GIB",
    "KIB",
    "MIB",
    "compose_bytes",
    "compose_size",
    "postgresql_bytes",
    "postgresql_size",
    "show_bytes",
    "synapse_bytes",
    "synapse_milliseconds",
    "synapse_size",
]

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

_COMPOSE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_POSTGRESQL = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|TB)?")
_SYNAPSE_SIZE = re.compile(r"(\d+)([KMGT]?)")
_SYNAPSE_DURATION = re.compile(r"(\d+)([smhdwy]?)")

_POWERS = {"": 1, "B": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB, "P": 1024 * TIB}
_POSTGRESQL_UNITS = {"B": 1, "kB": KIB, "MB": MIB, "GB": GIB, "TB": TIB}
_MILLISECONDS = {
    "": 1,
    "s": 1000,
    "m": 60 * 1000,
    "h": 3600 * 1000,
    "d": 24 * 3600 * 1000,
    "w": 7 * 24 * 3600 * 1000,
    "y": 365 * 24 * 3600 * 1000,
}


def synapse_size(size: int) -> str:
    """Render bytes for Synapse, rounded down to whole KiB: C(640M), C(10K)."""
    return _render(size, (("G", GIB), ("M", MIB), ("K", KIB)))


def postgresql_size(size: int) -> str:
    """Render bytes for PostgreSQL, rounded down to whole KiB: C(256MB), C(7864kB)."""
    return _render(size, (("GB", GIB), ("MB", MIB), ("kB", KIB)))


def compose_size(size: int) -> str:
    """Render bytes for Compose, rounded down to whole KiB: C(256m)."""
    return _render(size, (("g", GIB), ("m", MIB), ("k", KIB)))


def show_bytes(size: int) -> str:
    """Render bytes for a person, at most one decimal: C(1.5 GiB), C(256 MiB)."""
    for unit, factor in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if abs(size) >= factor:
            return f"{size / factor:.1f}".replace(".0", "") + " " + unit
    return f"{size} B"


def synapse_bytes(value: Union[str, int]) -> int:
    """Read a size as Synapse does; C(1.5G) and C(5k) are errors there, too."""
    found = _SYNAPSE_SIZE.fullmatch(str(value))
    if not found:
        raise UnitError(f"Synapse cannot read the size {value!r}: write an integer with K, M or G, such as 512M")
    return int(found.group(1)) * _POWERS[found.group(2)]


def synapse_milliseconds(value: Union[str, int]) -> int:
    """Read a duration as Synapse does: an integer (milliseconds) or with s, m, h, d, w, y."""
    found = _SYNAPSE_DURATION.fullmatch(str(value))
    if not found:
        raise UnitError(
            f"Synapse cannot read the duration {value!r}: write an integer with s, m, h, d or w, such as 5m"
        )
    return int(found.group(1)) * _MILLISECONDS[found.group(2)]


def postgresql_bytes(value: Union[str, int], *, unit: int) -> int:
    """Read a memory parameter as PostgreSQL does.

    :arg unit: bytes that a bare integer counts in, 8192 for C(shared_buffers),
        1024 for C(work_mem).
    """
    found = _POSTGRESQL.fullmatch(str(value).strip())
    if not found:
        raise UnitError(f"PostgreSQL cannot read the size {value!r}: write it with kB, MB or GB, such as 256MB")
    factor = _POSTGRESQL_UNITS[found.group(2)] if found.group(2) else unit
    return int(float(found.group(1)) * factor)


def compose_bytes(value: Union[str, int]) -> int:
    """Read a size as Compose does; a bare integer counts bytes."""
    found = _COMPOSE.fullmatch(str(value).strip())
    if not found:
        raise UnitError(f"Compose cannot read the size {value!r}: write it with b, k, m or g, such as 256m")
    return int(float(found.group(1)) * _POWERS[found.group(2).upper()])


def _render(size: int, units: tuple[tuple[str, int], ...]) -> str:
    """Render in the largest unit that loses nothing; the last unit rounds down."""
    if size < 0:
        raise UnitError(f"A size cannot be negative: {size}")
    for suffix, factor in units:
        if size and size % factor == 0:
            return f"{size // factor}{suffix}"
    suffix, factor = units[-1]
    return f"{size // factor}{suffix}"
