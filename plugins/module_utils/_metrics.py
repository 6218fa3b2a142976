# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse's metrics over HTTP."""

from __future__ import annotations

import http.client
import urllib.parse
import urllib.request
from typing import Any, Dict, Iterable, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import Metrics
from ansible_collections.synapse.tuning.plugins.module_utils._deps_metrics import PROMETHEUS_CLIENT, prometheus_parser

__all__ = ["parse_metrics", "read_metrics"]

_MAX_SIZE = "synapse_util_caches_cache_max_size"
_BUILD_INFO = "synapse_build_info"
_LARGEST_ANSWER = 64 * 1024 * 1024


def read_metrics(url: str, *, timeout: float) -> Metrics:
    """Read them from a URL such as C(http://127.0.0.1:9000/_synapse/metrics).

    Raises SourceError: no library, nobody answers, no metrics there.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise SourceError("metrics_url must start with http:// or https://")
    place = _without_login(url)
    try:
        with urllib.request.build_opener().open(url, timeout=timeout) as answer:
            text = answer.read(_LARGEST_ANSWER).decode("utf-8")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise SourceError(f"{place} gives no metrics: {_reason(error)}; correct metrics_url") from error
    return parse_metrics(text, place=place)


def parse_metrics(text: str, *, place: str) -> Metrics:
    """Read metrics in Prometheus' text format. place: their URL, for the errors.

    Raises SourceError: no library, another text.
    """
    if PROMETHEUS_CLIENT.missing:
        raise SourceError(f"the library {PROMETHEUS_CLIENT.name} is missing, needed {PROMETHEUS_CLIENT.reason}")
    try:
        found = _metrics(prometheus_parser.text_string_to_metric_families(text))
    except (ValueError, KeyError, IndexError) as error:
        raise SourceError(f"what {place} gives is not in Prometheus' format; correct metrics_url") from error
    if found.version is None and not found.cache_sizes:
        raise SourceError(f"{place} gives metrics, but none of Synapse; correct metrics_url")
    return found


def _metrics(families: Iterable[Any]) -> Metrics:
    sizes: Dict[str, int] = {}
    version: Optional[str] = None
    for family in families:
        for sample in family.samples:
            if sample.name == _MAX_SIZE:
                sizes[sample.labels["name"]] = int(sample.value)
            elif sample.name == _BUILD_INFO:
                # A checkout adds its commit: "1.163.2 (b=develop,abcdef)".
                version = sample.labels.get("version", "").partition(" ")[0] or None
    return Metrics(version=version, cache_sizes=sizes)


def _without_login(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__)
