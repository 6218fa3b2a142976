# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bringing a project up interrupts, said before it is done."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

__all__ = ["interruptions"]

_RECREATED = "is recreated: its part of the compose files has changed"


def interruptions(composed: Sequence[Mapping[str, Any]], restarts: Sequence[Mapping[str, Any]]) -> List[str]:
    """One line a service, in Compose's order; none where nothing is to be done.

    composed: results of community.docker.docker_compose_v2 in check mode (actions, containers),
    each with the service that was asked for where it was one.
    restarts: what effective_info returned; a service that is recreated anyway needs no other.
    """
    found: Dict[str, str] = {}
    for result in composed:
        services = {each["Name"]: each["Service"] for each in result.get("containers") or ()}
        for action in result.get("actions") or ():
            if action["what"] == "container":
                # Compose names a container that is to be replaced NAME, or ID_NAME.
                name = str(action["id"])
                service = services.get(name) or services.get(name.partition("_")[2])
                if str(action["status"]).startswith("Recreat"):
                    found[service or name] = _RECREATED
                else:
                    found.setdefault(service or result.get("service", name), "is started" if service else "is created")
    lines = [f"{service} {what}" for service, what in found.items()]
    for each in restarts:
        if found.get(each["service"]) is None:
            keys = ", ".join(each["because"])
            what = "takes up, without an interruption," if each["action"] == "reload" else "is restarted for"
            lines.append(f"{each['service']} {what} {keys}")
    return lines
