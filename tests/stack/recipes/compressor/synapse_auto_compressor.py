# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `synapse_auto_compressor` of the official image, on the library that its wheel has."""

from __future__ import annotations

import argparse
import logging
import os
import sys

import synapse_auto_compressor


def main() -> None:
    """Compress, and say on the standard error what was done."""
    parser = argparse.ArgumentParser(prog="synapse_auto_compressor")
    parser.add_argument("-p", dest="postgres_location", required=True)
    parser.add_argument("-c", dest="chunk_size", type=int, required=True)
    parser.add_argument("-n", dest="number_of_chunks", type=int, required=True)
    parser.add_argument("-l", dest="levels", default="100,50,25")
    arguments = parser.parse_args()
    level = os.environ.get("RUST_LOG", "info").upper()
    logging.basicConfig(stream=sys.stderr, level=level if level in logging.getLevelNamesMapping() else "INFO")
    synapse_auto_compressor.compress_state_events_table(
        arguments.postgres_location, arguments.chunk_size, arguments.levels, arguments.number_of_chunks
    )


if __name__ == "__main__":
    main()
