# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""homeserver.yaml's levers, in the file and in the Synapse that runs."""

from __future__ import annotations

import re

from conftest import Project

SYNAPSE_ID = 991


def test_the_file_stays_its_owners(project: Project) -> None:
    file = project.host.file(str(project.directory / "data/homeserver.yaml"))
    assert (file.uid, file.gid, file.mode) == (SYNAPSE_ID, SYNAPSE_ID, 0o600)
    assert "# Nobody else's server is reached from here." in file.content_string
    assert re.search(r"^caches:\n +global_factor: 0\.5$", file.content_string, re.MULTILINE)
    assert len(project.backups("data/homeserver.yaml")) == 1


def test_synapse_has_taken_it_up(applied: Project) -> None:
    metrics = applied.execute("synapse", "curl", "--silent", "http://localhost:9000/_synapse/metrics")
    sizes = dict(re.findall(r'^synapse_util_caches_cache_max_size\{name="([^"]+)".*\} (\S+)$', metrics, re.MULTILINE))
    # A factor of 1 of the 10K that event_cache_size says, where Synapse's own is 0.5.
    assert float(sizes["*getEvent*"]) == 10 * 1024
