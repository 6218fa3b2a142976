# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What giving a table's disk back takes and what it would give."""

from __future__ import annotations

__all__ = ["bytes_needed", "gain", "packed_bytes", "worth_it"]

_PAGE = 8192
_PAGE_HEADER = 24
_ROW_HEADER = 24 + 4  # of the row, and its pointer in the page
_ALIGNMENT = 4  # of 8, on the average
_LEAST_SHARE = 0.1


def bytes_needed(*, size: int, largest_wal: int, wal: bool) -> int:
    """Free bytes that a second copy of a table takes while the first is there.

    size: of the table and its indexes.  wal: whether the copy goes through the write-ahead log as well, and that is
    on the same disk.  largest_wal: what PostgreSQL keeps of the log (max_wal_size).
    """
    return size + (min(size, largest_wal) if wal else 0)


def packed_bytes(*, rows: int, width: int) -> int:
    """Bytes of a table without gaps; width: bytes of a row's columns."""
    row = width + _ROW_HEADER + _ALIGNMENT
    a_page = max(1, (_PAGE - _PAGE_HEADER) // row)
    return -(-rows // a_page) * _PAGE


def gain(*, table_bytes: int, rows: int, width: int) -> int:
    """Bytes that a table would give back, about; all of it where nothing is known of its rows."""
    if not width:
        return table_bytes
    return max(0, table_bytes - packed_bytes(rows=rows, width=width))


def worth_it(*, table_bytes: int, rows: int, width: int) -> bool:
    """Whether rewriting a table gives back a tenth of it."""
    return gain(table_bytes=table_bytes, rows=rows, width=width) > _LEAST_SHARE * table_bytes
