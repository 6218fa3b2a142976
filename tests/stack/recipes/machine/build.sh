# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# A host as people have it: systemd, cron, and Python for Ansible. The compressor's wheel lies there, as containers
# reach no package index.
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends cron python3-packaging systemd
python3 -m venv /tmp/venv
/tmp/venv/bin/pip download --quiet --no-deps --dest /usr/local/share/wheels "synapse-auto-compressor==$COMPRESSOR_VERSION"
# What it would do at its start is not this container's.
systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer
