# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics of a Synapse in a container of this host."""

from __future__ import annotations

from typing import Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError, TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.listeners import in_url, metrics_port, metrics_url
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_metrics import Samples
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import Configuration
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Found, address
from ansible_collections.synapse.tuning.plugins.module_utils._metrics import parse_samples, read_samples
from ansible_collections.synapse.tuning.plugins.module_utils._synapse_process import SynapseProcess

__all__ = ["container_samples"]


def container_samples(
    process: SynapseProcess, configuration: Configuration, there: Sequence[Found], *, timeout: float
) -> Samples:
    """The samples of Synapse's metrics, found by what its files say. there: all of the engine's containers.

    Inside, its Python would have to be started to ask for them; so that it need not be, the container's
    address is tried first where Synapse listens there. Raises SourceError.
    """
    port, host = metrics_port(configuration), address(process.container, there)
    if port is not None and host is not None:
        try:
            return read_samples(f"http://{in_url(host)}:{port}/_synapse/metrics", timeout=min(timeout, 5))
        except TuningError:
            pass
    url = metrics_url(configuration)
    if url is None:
        raise SourceError(
            "Synapse has no metrics: add enable_metrics: true and a listener of type metrics, or give metrics_url"
        )
    return parse_samples(process.metrics(url, timeout=timeout), place=url)
