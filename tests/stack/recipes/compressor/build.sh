# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# The compressor; upstream's wheel is the same program, called from Python.
python3 -m venv /opt/compressor
/opt/compressor/bin/pip install --quiet "synapse-auto-compressor==$COMPRESSOR_VERSION"
{ echo "#!/opt/compressor/bin/python"; cat /mnt/recipe/synapse_auto_compressor.py; } >/usr/local/bin/synapse_auto_compressor
chmod 0755 /usr/local/bin/synapse_auto_compressor
synapse_auto_compressor --help >/dev/null
