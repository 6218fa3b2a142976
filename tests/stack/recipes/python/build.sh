# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# What the images of Python programs share.
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends python3 python3-venv
