# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# Synapse with what the official image has around it.
apt-get update --quiet=2
# psycopg2 from Debian: the same extension, without a compiler in the image.
apt-get install --quiet=2 --yes --no-install-recommends curl gosu libjemalloc2 python3-psycopg2
python3 -m venv --system-site-packages /opt/synapse
/opt/synapse/bin/pip install --quiet --no-compile "matrix-synapse[postgres]==$SYNAPSE_VERSION"
# The official image has its bytecode, too: without it Synapse's start is 10 s longer and its memory another.
/opt/synapse/bin/python -m compileall -q -j 0 /opt/synapse/lib || true
{ echo "#!/opt/synapse/bin/python"; cat /mnt/recipe/start.py; } >/start.py
chmod 0755 /start.py
mkdir -p /data
/opt/synapse/bin/python -c 'import psycopg2, synapse.app.homeserver'
