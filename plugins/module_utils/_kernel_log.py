# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel has logged since it was booted, as far as it still has it."""

from __future__ import annotations

import os
import time
from typing import List

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_oom import Record

__all__ = ["read_kernel_log"]

# Larger than any record; a smaller one could not be read.
_LARGEST = 16384


def read_kernel_log(*, root: str = "/") -> List[Record]:
    """The oldest first. Raises SourceError where it may not be read."""
    path = os.path.join(root, "dev/kmsg")
    booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    found: List[Record] = []
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(f"the kernel's log {path} can't be read ({error.strerror}): run with become") from error
    try:
        while True:
            try:
                # One at a time: "6,339,5140900,-;the text", and lines of details after it.
                record = os.read(descriptor, _LARGEST)
            except BlockingIOError:  # that was all
                return found
            except BrokenPipeError:  # overwritten meanwhile
                continue
            if not record:
                return found
            head, _semicolon, text = record.decode("utf-8", "replace").partition(";")
            fields = head.split(",")
            if len(fields) > 2 and fields[2].isdigit():
                found.append((booted + int(fields[2]) / 1e6, text.partition("\n")[0]))
    except OSError as error:
        raise SourceError(f"the kernel's log {path} can't be read ({error.strerror}): run with become") from error
    finally:
        os.close(descriptor)
