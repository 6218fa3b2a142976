# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse's metrics where only its container reaches them."""

from __future__ import annotations

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.listeners import metrics_url
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_metrics import Samples
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import Configuration
from ansible_collections.synapse.tuning.plugins.module_utils._metrics import parse_samples
from ansible_collections.synapse.tuning.plugins.module_utils._synapse_process import SynapseProcess

__all__ = ["samples_inside"]


def samples_inside(process: SynapseProcess, configuration: Configuration, *, timeout: float) -> Samples:
    """Ask from inside the container, by the URL that Synapse's files say. Raises SourceError."""
    url = metrics_url(configuration)
    if url is None:
        raise SourceError(
            "Synapse has no metrics: add enable_metrics: true and a listener of type metrics, or give metrics_url"
        )
    return parse_samples(process.metrics(url, timeout=timeout), place=url)
