# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say the five fields of cron as a calendar event of systemd."""

from __future__ import annotations

DOCUMENTATION = r"""
name: on_calendar
short_description: Say the five fields of cron as a calendar event of systemd
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Makes what C(OnCalendar=) of a timer says from what cron is told.
  - Fails where both the day of the month and the day of the week are limited, as cron takes either of them and systemd both.
options:
  _input:
    description: Minute, hour, day of the month, month and day of the week.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Say when a timer is due
  ansible.builtin.debug:
    msg: "{{ ['17', '3', '*', '*', '0'] | synapse.tuning.on_calendar }}" # Sun *-*-* 03:17:00
"""

RETURN = r"""
_value:
  description: The calendar event.
  type: str
"""

from ansible_collections.synapse.tuning.plugins.module_utils._core.calendar import on_calendar


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Name to function."""
        return {"on_calendar": on_calendar}
