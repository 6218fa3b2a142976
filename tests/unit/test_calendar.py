# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of cron as systemd says them; `systemd-analyze` has its word in tests/stack/test_compressor_role.py."""

from __future__ import annotations

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils._core.calendar import cron_fields, on_calendar
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ParameterError


@pytest.mark.parametrize(
    ("cron", "calendar"),
    [
        ("17 3 * * *", "*-*-* 03:17:00"),
        ("17 3 * * 0", "Sun *-*-* 03:17:00"),
        ("17 3 * * 7", "Sun *-*-* 03:17:00"),
        ("17 3 1 * *", "*-*-01 03:17:00"),
        ("17 3 * * sun", "Sun *-*-* 03:17:00"),
        ("0 4 * * 0-2,5", "Mon,Tue,Fri,Sun *-*-* 04:00:00"),
        ("0 4 * * 1-7", "*-*-* 04:00:00"),
        ("0 4 * * */2", "Tue,Thu,Sat,Sun *-*-* 04:00:00"),
        ("*/15 * * * *", "*-*-* *:00/15:00"),
        ("0 1-5/2,22 */2 jan-mar *", "*-01..03-01/2 01..05/2,22:00:00"),
        ("* * * * *", "*-*-* *:*:00"),
    ],
)
def test_cron_in_the_words_of_systemd(cron: str, calendar: str) -> None:
    assert on_calendar(cron.split()) == calendar


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("60 3 * * *", "minute is not a field of cron from 0 to 59: 60"),
        ("5 24 * * *", "hour is not"),
        ("5 3 0 * *", "day is not"),
        ("5 3 * 13 *", "month is not"),
        ("5 3 * foo *", "month is not"),
        ("5 3 * * 8", "weekday is not"),
        ("5 3 * * fri-mon", "weekday is not"),
        ("5/5 3 * * *", "minute is not"),
        ("*/0 3 * * *", "minute is not"),
        ("5; 3 * * *", "minute is not"),
        ("5 3 1 * 0", "with day and weekday cron runs it on either"),
    ],
)
def test_what_systemd_cannot_say(cron: str, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        on_calendar(cron.split())


@pytest.mark.parametrize("cron", ["17 03 * * *", "17 03 * * Sun", "17 03 01 * *", "00 23 * 05 *"])
def test_back_again(cron: str) -> None:
    fields = cron_fields(on_calendar(cron.split()))
    assert fields is not None and " ".join(fields) == cron


@pytest.mark.parametrize(
    "calendar", ["weekly", "Sat,Sun 03:00", "*-*-* 00/4:00:00", "Sun *-*-* 03:17:00 Europe/Berlin"]
)
def test_another_calendar_has_no_fields(calendar: str) -> None:
    assert cron_fields(calendar) is None
