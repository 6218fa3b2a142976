# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse's processes by their names, and its metrics from wherever they can be had."""

from __future__ import annotations

import os
import posixpath
from typing import List, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.effective_configuration import configured
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError, TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import ProcessMemory
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_metrics import Samples
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_process import is_main, is_synapse
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Containers, Found
from ansible_collections.synapse.tuning.plugins.module_utils._memory_places import Places
from ansible_collections.synapse.tuning.plugins.module_utils._metrics import read_samples
from ansible_collections.synapse.tuning.plugins.module_utils._metrics_container import container_samples
from ansible_collections.synapse.tuning.plugins.module_utils._procfs import Running
from ansible_collections.synapse.tuning.plugins.module_utils._synapse_process import SynapseProcess, config_paths

__all__ = ["name_processes", "read_samples_of", "synapse_processes"]


def synapse_processes(places: Places) -> List[Tuple[Optional[Found], Running]]:
    """All of Synapse's processes, the main one first, each with its container, None for one of the host."""
    found: List[Tuple[Optional[Found], Running]] = []
    for container, processes in places.of_synapse():
        found += [(container.found, process) for process in processes]
    if "synapse" in places.on_host:
        found += [(None, process) for process in places.host_processes(is_synapse)]
    return sorted(found, key=lambda each: (not is_main(each[1].arguments), each[1].pid))


def name_processes(
    engine: Optional[Containers], found: Sequence[Tuple[Optional[Found], Running]]
) -> List[ProcessMemory]:
    """The processes by their names: C(main), or as the worker's configuration calls it."""
    rows = []
    for container, process in found:
        figures = process.figures
        rows.append(
            ProcessMemory(
                name=_name(engine, container, process),
                pid=process.pid,
                rss=figures.rss,
                rss_peak=figures.rss_peak,
                pss=figures.pss,
                private=figures.private,
                swap=figures.swap,
                cpu_seconds=figures.cpu_seconds,
                uptime=figures.uptime,
            )
        )
    return rows


def read_samples_of(places: Places, url: Optional[str], *, timeout: float) -> Samples:
    """The main process's metrics: by the URL that was given, else of its container. Raises TuningError."""
    if url:
        return read_samples(url, timeout=timeout)
    if places.engine is None or places.synapse is None:
        raise SourceError("Synapse is in no container that can be asked: give metrics_url")
    process = SynapseProcess(places.engine, places.synapse)
    return container_samples(process, process.configuration(), places.all, timeout=timeout)


def _name(engine: Optional[Containers], container: Optional[Found], process: Running) -> str:
    if is_main(process.arguments):
        return "main"
    if engine is not None and container is not None and process.figures.inner_pid is not None:
        try:
            inside = SynapseProcess(engine, container, pid=process.figures.inner_pid)
            name = configured(inside.configuration(), "worker_name")
            if name:
                return str(name)
        except TuningError:
            pass
    # Files of workers are called as they are.
    paths = config_paths(process.arguments)
    return os.path.splitext(posixpath.basename(paths[-1]))[0] if paths else "worker"
