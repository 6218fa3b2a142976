# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real programs that the plan's values are shown to: PostgreSQL and Synapse."""
