#!/bin/sh
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Usage: stop-run.sh LOCK CONTAINER
# Stop a run of compress-state.sh, where there is one, and wait for its end.
lock=$1 container=$2
flock -n "$lock" true && exit 0
# The script was killed where it is gone: then its container goes on without it.
kill "$(cat "$lock")" 2>/dev/null || docker rm -f "$container" >/dev/null 2>&1
if ! flock -w 90 "$lock" true; then
    echo "a run that holds $lock does not end; stop it and run again" >&2
    exit 1
fi
echo stopped
