# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Synapse has its metrics and its APIs, by its own configuration."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.effective_configuration import configured
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import Configuration

__all__ = ["client_port", "in_url", "metrics_port", "metrics_url"]

_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - only looked for


def metrics_url(configuration: Configuration) -> Optional[str]:
    """The URL of the metrics as seen from where Synapse runs; None where it has none in plain HTTP."""
    listener = _metrics_listener(configuration)
    return None if listener is None else f"http://{_address(listener)}:{listener.get('port')}/_synapse/metrics"


def metrics_port(configuration: Configuration) -> Optional[int]:
    """The port of the metrics where others than Synapse's own host reach it, too; None for none."""
    listener = _metrics_listener(configuration)
    return None if listener is None or not _is_everywhere(listener) else int(listener["port"])


def client_port(configuration: Configuration) -> Optional[int]:
    """The port of the first listener that serves clients in plain HTTP, and with them the admin API; None for none."""
    listeners = configured(configuration, "listeners")
    for listener in listeners if isinstance(listeners, list) else ():
        if isinstance(listener, Mapping) and _serves(listener, "client") and not listener.get("tls"):
            return int(listener["port"])
    return None


def in_url(host: str) -> str:
    """A host's name or address as a URL has it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _metrics_listener(configuration: Configuration) -> Optional[Mapping[str, Any]]:
    if configured(configuration, "enable_metrics") is not True:
        return None
    listeners = configured(configuration, "listeners")
    for listener in listeners if isinstance(listeners, list) else ():
        if isinstance(listener, Mapping) and _has_metrics(listener) and not listener.get("tls"):
            return listener
    return None


def _has_metrics(listener: Mapping[str, Any]) -> bool:
    return (isinstance(listener.get("port"), int) and listener.get("type") == "metrics") or _serves(listener, "metrics")


def _serves(listener: Mapping[str, Any], resource: str) -> bool:
    """Whether it has a port, and the resource on it."""
    resources = listener.get("resources") or []
    return isinstance(listener.get("port"), int) and any(
        resource in (each.get("names") or []) for each in resources if isinstance(each, Mapping)
    )


def _address(listener: Mapping[str, Any]) -> str:
    if _is_everywhere(listener):
        return "127.0.0.1"
    return in_url(str(_addresses(listener)[0]))


def _is_everywhere(listener: Mapping[str, Any]) -> bool:
    return any(address in _EVERYWHERE for address in _addresses(listener))


def _addresses(listener: Mapping[str, Any]) -> List[Any]:
    return listener.get("bind_addresses") or [listener.get("bind_address") or ""]
