# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a container, in a few words."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils._core.trouble import state_of, telling_line


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"Running": True, "Status": "running"}, None),
        ({"Running": True, "Health": {"Status": "starting"}}, None),
        ({"Running": True, "Health": {"Status": "unhealthy"}}, "is unhealthy"),
        ({"Running": True, "Restarting": True, "ExitCode": 1}, "keeps ending (1) and is restarted"),
        ({"Running": False, "Status": "exited", "ExitCode": 137}, "exited (137)"),
        (
            {"Running": True, "Restarting": True, "ExitCode": 137, "OOMKilled": True},
            "was killed, as it took more memory than its limit",
        ),
    ],
)
def test_states(state: dict[str, Any], words: Optional[str]) -> None:
    assert state_of({"State": state}) == words


def test_between_two_deaths_a_container_runs() -> None:
    def running(health: str, restarts: int) -> Optional[str]:
        return state_of(
            {"RestartCount": restarts, "State": {"Running": True, "ExitCode": 1, "Health": {"Status": health}}}
        )

    assert running("starting", 3) == "keeps ending (1) and is restarted"
    assert running("starting", 0) is None
    # It had a hard time once, and is well now.
    assert running("healthy", 3) is None


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", ""),
        ("one\ntwo\n\n", "two"),
        (
            "LOG:  starting\nFATAL:  could not map anonymous shared memory: Cannot allocate memory\nHINT:  Lower it.\n",
            "FATAL:  could not map anonymous shared memory: Cannot allocate memory",
        ),
        ("FATAL:  bad value\nFATAL:  the database system is starting up\n", "FATAL:  bad value"),
        (
            "Traceback (most recent call last):\n  File x\nValueError: could not convert\nbye\n",
            "ValueError: could not convert",
        ),
        ("Error in configuration at 'caches': no\nlast\n", "Error in configuration at 'caches': no"),
        (
            "Error in configuration:\n  'global_factor' is no number\nlast\n",
            "Error in configuration: 'global_factor' is no number",
        ),
        ("Error:\n", "Error:"),
        # What Synapse says at every start.
        ("LOG: x\n2026 - WARNING - Failed to listen on 0.0.0.0: CannotListenError: in use\n", "LOG: x"),
        ("x" * 999, "x" * 300),
    ],
)
def test_the_line_that_tells_most(log: str, line: str) -> None:
    assert telling_line(log) == line
