# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compress a piece of state_groups_state: compress-state.py CHUNK_SIZE NUMBER_OF_CHUNKS.

Where the database is stands in the first line of the standard input, as key=value pairs of
libpq: neither the command line nor the environment, which others can read, has the password.
"""

from __future__ import annotations

import logging
import sys

import synapse_auto_compressor

# The command's own; a text, as a list is refused.
LEVELS = "100,50,25"

logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
try:
    synapse_auto_compressor.compress_state_events_table(
        sys.stdin.readline().rstrip("\n"), int(sys.argv[1]), LEVELS, int(sys.argv[2])
    )
except RuntimeError as error:
    # Its first line repeats where the database is, password and all; what comes after says why.
    _first, _line, cause = str(error).partition("\n")
    sys.exit(f"the compressor failed: {' '.join(cause.split()) or 'see above'}")
