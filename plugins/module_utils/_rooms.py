# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rank rooms by the source that is there: Synapse's database, or its admin API."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from typing import Any, Dict, Mapping, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import (
    _postgresql,
    _rooms_admin,
    _rooms_database,
)
from ansible_collections.synapse.tuning.plugins.module_utils._admin_api import AdminApi, access_from
from ansible_collections.synapse.tuning.plugins.module_utils._container_login import Place
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError, TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import Filters
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_answer import Answer, Request
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_estimate import estimate, total
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_table import rooms_table
from ansible_collections.synapse.tuning.plugins.module_utils._login_options import given_login, login_of

__all__ = ["Ranked", "rank"]

_LOGIN = ("login_host", "login_unix_socket", "login_port", "login_user", "login_password", "login_db", "passfile")
_LOGIN_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")


@dataclass(frozen=True)
class Ranked:
    """An answer, and where it is from."""

    source: str
    order_by: str
    answer: Answer
    warnings: Tuple[str, ...]

    def as_data(self) -> Dict[str, Any]:
        """Plain values, for a module to return."""
        answer = self.answer
        return {
            "rooms": [
                {**asdict(room), "disk_bytes": room.disk, "estimate": estimate(room, answer.methods).figures()}
                for room in answer.rooms
            ],
            "total": answer.count,
            "matched": answer.matched,
            "source": self.source,
            "order_by": self.order_by,
            "sampled": answer.percent is not None and answer.percent < 100,
            "percent": answer.percent,
            "estimate": total(answer.rooms, answer.methods).as_data(),
            "missing": list(answer.missing),
            "absent": list(answer.absent),
            "table": "\n".join(
                rooms_table(answer.rooms, methods=answer.methods, matched=answer.matched, count=answer.count)
            ),
        }


def rank(params: Mapping[str, Any], *, now: int) -> Ranked:
    """Rank as the module's options say; now: milliseconds since 1970.

    Raises TuningError: an option that cannot be, a source that does not answer or refuses.
    """
    for name in ("limit", "active_days", "sample_above", "statement_timeout"):
        if params[name] < 1:
            raise SourceError(f"{name} cannot be {params[name]}: write 1 or more")
    request = Request(
        filters=Filters(
            pattern=params["pattern"],
            no_local_members=params["no_local_members"],
            inactive_days=params["inactive_days"],
            min_state_events=params["min_state_events"],
            tombstoned=params["tombstoned"],
            rooms=None if params["rooms"] is None else tuple(params["rooms"]),
        ),
        order_by=params["order_by"] or "state_rows",
        limit=params["limit"],
        now=now,
        active_days=params["active_days"],
        sample_above=params["sample_above"],
        timeout=params["statement_timeout"],
    )
    source = params["source"]
    if source == "auto":
        source = _source(params)
    warnings: Tuple[str, ...] = ()
    if source == "database or else admin_api":
        try:
            return _by_database(params, request)
        except TuningError as error:
            source = "admin_api"
            warnings = (f"asked the admin API, since the database could not be: {error}",)
    if source == "database":
        return _by_database(params, request)
    return _by_admin_api(params, replace(request, order_by=params["order_by"] or "state_events"), warnings)


def _source(params: Mapping[str, Any]) -> str:
    """What C(auto) means. A login that was given is to be corrected where it is wrong, and not passed over."""
    token = bool(params["access_token"] or params["access_token_file"] or os.environ.get("SYNAPSE_TUNING_ACCESS_TOKEN"))
    if params["db_container"] or any(params[name] is not None for name in _LOGIN):
        return "database"
    if params["project_dir"] or any(os.environ.get(name) for name in _LOGIN_VARIABLES):
        return "database or else admin_api" if token else "database"
    return "admin_api" if token else "database"


def _by_database(params: Mapping[str, Any], request: Request) -> Ranked:
    login = given_login(params)
    place = Place(
        container=params["db_container"],
        # With a host it says where Synapse is.
        project_dir=None if login.host else params["project_dir"],
        db_service=params["db_service"],
        docker_host=params["docker_host"],
    )
    with _postgresql.connect(login_of(login, place)) as server:
        answer = _rooms_database.rank(server, request)
    return Ranked("database", request.order_by, answer, _warnings(answer))


def _by_admin_api(params: Mapping[str, Any], request: Request, warnings: Tuple[str, ...]) -> Ranked:
    answer = _rooms_admin.rank(AdminApi(access_from(params)), request)
    return Ranked("admin_api", request.order_by, answer, warnings + _warnings(answer))


def _warnings(answer: Answer) -> Tuple[str, ...]:
    absent = (f"not on this server: {', '.join(answer.absent)}",) if answer.absent else ()
    sampled = (
        (f"figures are scaled up from {answer.percent:.3g} % of a table; raise sample_above to count",)
        if answer.percent is not None and answer.percent < 100
        else ()
    )
    return answer.warnings + sampled + absent
