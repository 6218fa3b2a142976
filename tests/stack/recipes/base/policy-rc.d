#!/bin/sh
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Nothing that a package brings is to start while an image is made.
exit 101
