# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse's metrics over HTTP."""

from __future__ import annotations

import http.client
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_metrics import Samples
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import Metrics
from ansible_collections.synapse.tuning.plugins.module_utils._deps_metrics import PROMETHEUS_CLIENT, prometheus_parser

__all__ = ["metrics_of", "parse_metrics", "parse_samples", "read_metrics", "read_samples"]

_MAX_SIZE = "synapse_util_caches_cache_max_size"
_BUILD_INFO = "synapse_build_info"
_LARGEST_ANSWER = 64 * 1024 * 1024
# Synapse lists its caches in a thread, and answers 500 where one is made meanwhile, as after a start: the next one is right.
_PAUSES = (0.2, 1.0)


def read_metrics(url: str, *, timeout: float) -> Metrics:
    """Read what verifying takes of them; as read_samples."""
    return metrics_of(read_samples(url, timeout=timeout))


def parse_metrics(text: str, *, place: str) -> Metrics:
    """Read what verifying takes of a text; as parse_samples."""
    return metrics_of(parse_samples(text, place=place))


def read_samples(url: str, *, timeout: float) -> Samples:
    """Read all of them from a URL such as C(http://127.0.0.1:9000/_synapse/metrics).

    Raises SourceError: no library, nobody answers, no metrics there.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise SourceError("metrics_url must start with http:// or https://")
    place = _without_login(url)
    try:
        text = _ask(url, timeout=timeout)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise SourceError(f"{place} gives no metrics: {_reason(error)}; correct metrics_url") from error
    return parse_samples(text, place=place)


def _ask(url: str, *, timeout: float) -> str:
    for pause in _PAUSES:
        try:
            return _answer(url, timeout=timeout)
        except urllib.error.HTTPError as error:
            if error.code != 500:
                raise
        time.sleep(pause)
    return _answer(url, timeout=timeout)


def _answer(url: str, *, timeout: float) -> str:
    with urllib.request.build_opener().open(url, timeout=timeout) as answer:
        return str(answer.read(_LARGEST_ANSWER).decode("utf-8"))


def parse_samples(text: str, *, place: str) -> Samples:
    """Read metrics in Prometheus' text format. place: their URL, for the errors.

    Raises SourceError: no library, another text, not Synapse's.
    """
    if PROMETHEUS_CLIENT.missing:
        raise SourceError(f"the library {PROMETHEUS_CLIENT.name} is missing, needed {PROMETHEUS_CLIENT.reason}")
    try:
        found = _samples(prometheus_parser.text_string_to_metric_families(text))
    except (ValueError, KeyError, IndexError) as error:
        raise SourceError(f"what {place} gives is not in Prometheus' format; correct metrics_url") from error
    if _BUILD_INFO not in found and _MAX_SIZE not in found:
        raise SourceError(f"{place} gives metrics, but none of Synapse; correct metrics_url")
    return found


def metrics_of(samples: Samples) -> Metrics:
    """Synapse's version and the sizes of its caches."""
    version: Optional[str] = None
    for labels, _value in samples.get(_BUILD_INFO, ()):
        # A checkout adds its commit: "1.163.2 (b=develop,abcdef)".
        version = labels.get("version", "").partition(" ")[0] or None
    sizes = {labels.get("name", ""): value for labels, value in samples.get(_MAX_SIZE, ())}
    # One without a bound has no size that could be compared.
    return Metrics(
        version=version, cache_sizes={name: int(each) for name, each in sizes.items() if math.isfinite(each)}
    )


def _samples(families: Iterable[Any]) -> Samples:
    found: Dict[str, List[Tuple[Mapping[str, str], float]]] = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def _without_login(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__)
