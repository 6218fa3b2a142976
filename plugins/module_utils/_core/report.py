# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the playbook tells its user: the plan, the memory, what was or is to be restarted, what holds."""

from __future__ import annotations

import json
import posixpath
import shlex
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core import units
from ansible_collections.synapse.tuning.plugins.module_utils._core.report_forecast import (
    levers_section,
    predicted_section,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.report_verified import verified_section
from ansible_collections.synapse.tuning.plugins.module_utils._core.table import Column, paragraph, table

__all__ = ["Run", "render"]

_LEVERS = (
    Column("", 1),
    Column("lever", 30),
    Column("current", 18),
    Column("planned", 24),
    Column("why"),
)
_LEARNED = (
    Column("lever", 34),
    Column("without", 12),
    Column("learned", 12),
    Column("why"),
)
_BUDGET = (
    Column("component", 30),
    Column("MiB", 12, right=True),
    Column("share", 6, right=True),
    Column("why"),
)
_RESTARTS = (Column("service", 24), Column("action", 10), Column("because of"))

# The names that `docker compose` finds by itself.
_DEFAULT_FILES = frozenset(
    stem + suffix
    for stem in ("compose", "docker-compose", "compose.override", "docker-compose.override")
    for suffix in (".yaml", ".yml")
)
_STRONGEST_LAST = ("reload", "restart", "recreate")
# What the modules set beside the plan.
_OTHER_REASONS = {"homeserver_dropin": "Synapse reads the plan's settings from a file of their own"}
_TOPOLOGIES = {
    "shared": "Synapse and PostgreSQL on this host",
    "dedicated_synapse": "Synapse on this host, PostgreSQL elsewhere",
    "dedicated_database": "PostgreSQL on this host, Synapse elsewhere",
}


@dataclass(frozen=True)
class Run:
    """What the report is made from.

    plan: the plan, as plan_info returns it.
    host: the name of the host in the inventory.
    check_mode: nothing was written.
    compose, homeserver: what the modules compose_file and homeserver_file
        returned; None where they did not run.
    deployment: what the module deployment returned, where it ran.
    plan_path: where the plan lies.
    project_dir: where C(docker compose) is to be run.
    apply: the run brings the containers up; else it writes files and says what to type.
    interruptions: what it said would be interrupted, and then did; None where it did not come to that.
    effective: what effective_info returned; None leaves the section out.
    postgresql: what the module postgresql_parameters returned; None where it did not run.
    compressor: C(state) (installed, skipped, removed), C(reason), C(script),
        C(cron_file), C(schedule); None leaves the section out.
    """

    plan: Mapping[str, Any]
    host: str = ""
    check_mode: bool = False
    deployment: Optional[Mapping[str, Any]] = None
    compose: Optional[Mapping[str, Any]] = None
    homeserver: Optional[Mapping[str, Any]] = None
    postgresql: Optional[Mapping[str, Any]] = None
    plan_path: str = ""
    project_dir: str = ""
    compressor: Optional[Mapping[str, Any]] = None
    apply: bool = False
    interruptions: Optional[Sequence[str]] = None
    effective: Optional[Mapping[str, Any]] = None

    @property
    def created(self) -> Sequence[str]:
        return (self.deployment or {}).get("created") or ()


@dataclass(frozen=True)
class _Lever:
    """One row; C(current) is None where nobody looked."""

    place: str
    name: str
    current: Optional[str]
    planned: str
    why: str
    differs: bool


@dataclass(frozen=True)
class _Restart:
    service: str
    action: str
    because: Sequence[str] = field(default_factory=tuple)


def render(run: Run, *, width: int, only_verified: bool = False) -> str:
    """The report as text, its lines at most C(width) wide (paths and commands are never cut).

    only_verified: nothing but what was read back.
    """
    verified = ("", []) if run.effective is None else verified_section(run.effective, width=width)
    lines = [] if only_verified else _heading(run, width)
    whole = (
        *_lever_sections(run, width),
        _learned_section(run.plan, width),
        ("MEMORY BUDGET", _budget(run.plan, width)),
        predicted_section(run.plan, width),
        levers_section(run.plan, width),
        _restart_section(run, width),
        verified,
        ("STATE COMPRESSOR", _compressor(run, width)),
        ("WARNINGS", _bullets(_warnings(run), width)),
        ("ADVICE", _bullets(run.plan.get("advice") or (), width)),
    )
    for title, body in [verified] if only_verified else whole:
        if body:
            lines += ["", title, *body]
    return "\n".join(lines) + "\n"


def _heading(run: Run, width: int) -> List[str]:
    host = run.plan["host"]
    seen = {name: " (observed)" if name in (host.get("observed") or ()) else "" for name in ("ram", "cpus", "reserved")}
    facts = [
        _count(host["users"], "user"),
        f"{units.show_bytes(host['ram'])} RAM{seen['ram']}",
        f"{_count(host['cpus'], 'CPU')}{seen['cpus']}",
        host["storage"],
        f"{units.show_bytes(host['reserved'])} reserved for other services{seen['reserved']}",
        _TOPOLOGIES.get(host["topology"], host["topology"]),
        _count(host["workers"], "worker"),
        f"{host['federation']} federation",
        *_programs(run),
        *([f"by the measurement of {host['measured']}"] if host.get("measured") else []),
    ]
    title = "synapse.tuning" + (f": {run.host}" if run.host else "")
    if run.check_mode:
        title += " (check mode: nothing was written)"
    lines = ["", title, "=" * len(title), *paragraph(", ".join(facts), width=width)]
    lines += [f"{'would create' if run.check_mode else 'created'} {path}" for path in run.created]
    if run.plan_path:
        lines.append(f"the plan with every source: {run.plan_path}")
    return lines


def _programs(run: Run) -> List[str]:
    """What runs, or will: the images that the compose file names, else the versions that were planned for."""
    images = (run.compose or {}).get("images") or {}
    host = run.plan["host"]
    planned = {
        "synapse": f"Synapse {host['synapse_version']}",
        "postgresql": f"PostgreSQL {host['postgresql_version']}",
    }
    return [images.get(program) or text for program, text in planned.items()]


def _lever_sections(run: Run, width: int) -> Iterator[Tuple[str, List[str]]]:
    levers, tables = list(_levers(run)), list(_table_levers(run))
    if run.postgresql is not None:
        levers, tables = levers + tables, []
    differing = [lever for lever in levers if lever.differs]
    agreeing = [lever for lever in levers if not lever.differs]
    would = "would change" if run.check_mode else "changed"
    yield f"PLAN: {len(differing)} of {_count(len(levers), 'lever')} {would}", _rows(differing, "*", width)
    yield f"PLAN: {_count(len(agreeing), 'lever')} already as planned", _rows(agreeing, "=", width)
    yield f"PLAN: {_count(len(tables), 'lever')} left to the role synapse.tuning.postgresql", _rows(tables, "", width)


def _rows(levers: Sequence[_Lever], mark: str, width: int) -> List[str]:
    if not levers:
        return []
    rows: List[Sequence[str]] = []
    place = None
    for lever in levers:
        if lever.place != place:
            place = lever.place
            rows.append((f"[{place}]",))
        current = "-" if lever.current is None else lever.current
        rows.append((mark, lever.name, current, lever.planned, lever.why))
    return table(_LEVERS, rows, width=width)


def _levers(run: Run) -> Iterator[_Lever]:
    reasons = _reasons(run.plan)
    for result, section in ((run.compose, "compose"), (run.homeserver, "homeserver")):
        if result is None or not result.get("levers"):
            yield from _planned(run.plan, section)
            continue
        path = str(result.get("path") or section)
        kinds = {
            result.get("synapse_service"): "synapse",
            result.get("db_service"): "postgresql",
        }
        for lever in sorted(result["levers"], key=lambda one: str(one.get("service"))):
            service = lever.get("service")
            is_compose = lever.get("file") == "compose"
            kind = kinds.get(service, "") if is_compose else "homeserver"
            name = _leaf(str(lever["lever"]))
            yield _Lever(
                place=f"{path}, service {service}" if is_compose else path,
                name=name,
                current=_show(lever["current"]),
                planned=_show(lever["planned"]),
                why=reasons.get((kind, name)) or _OTHER_REASONS.get(name, ""),
                differs=bool(lever["differs"]),
            )


def _table_levers(run: Run) -> Iterator[_Lever]:
    """The tables' options as they were found, or as planned where nobody looked."""
    planned = run.plan.get("tables") or {}
    found: Sequence[Mapping[str, Any]] = (run.postgresql or {}).get("tables") or ()
    if run.postgresql is None:
        found = [
            {"table": table, "option": option, "planned": setting["value"], "differs": True}
            for table, options in planned.items()
            for option, setting in options.items()
        ]
    for each in found:
        yield _Lever(
            place=f"PostgreSQL, table {each['table']}",
            name=each["option"],
            current=_show(each["current"]) if "current" in each else None,
            planned=_show(each["planned"]),
            why=planned.get(each["table"], {}).get(each["option"], {}).get("why", ""),
            differs=bool(each["differs"]),
        )


def _planned(plan: Mapping[str, Any], section: str) -> Iterator[_Lever]:
    """The levers of files that nobody looked at, for they do not exist yet."""
    kinds = ("synapse", "postgresql") if section == "compose" else ("homeserver",)
    places = {
        "synapse": "compose, Synapse",
        "postgresql": "compose, PostgreSQL",
        "homeserver": "homeserver.yaml",
    }
    for kind in kinds:
        for name, setting in _settings(plan, kind):
            if setting["value"] is not None:
                yield _Lever(
                    place=places[kind],
                    name=name,
                    current=None,
                    planned=_show(setting["value"]),
                    why=setting["why"],
                    differs=True,
                )


def _settings(plan: Mapping[str, Any], kind: str) -> Iterator[Tuple[str, Mapping[str, Any]]]:
    """Every (name, setting) of Synapse's service, of PostgreSQL's or of homeserver.yaml."""
    if kind == "homeserver":
        yield from ((name, value) for name, value in (plan.get("homeserver") or {}).items() if value)
        return
    for name, value in ((plan.get("compose") or {}).get(kind) or {}).items():
        if name == "environment":
            yield from value.items()
        else:
            yield name, value
    if kind == "postgresql":
        yield from (plan.get("postgresql") or {}).items()


def _reasons(plan: Mapping[str, Any]) -> Dict[Tuple[str, str], str]:
    return {
        (kind, name): str(setting["why"])
        for kind in ("synapse", "postgresql", "homeserver")
        for name, setting in _settings(plan, kind)
    }


def _leaf(lever: str) -> str:
    """A lever's name in the plan: C(environment.X) and C(postgresql.X) of a compose file are X there."""
    return lever.split(".", 1)[1] if lever.startswith(("environment.", "postgresql.")) else lever


def _learned_section(plan: Mapping[str, Any], width: int) -> Tuple[str, List[str]]:
    """What a measurement has changed; nothing where the plan was made without one."""
    rows = [
        (each["lever"].split(".", 1)[1], _show(each["from"]), _show(each["to"]), each["why"])
        for each in plan.get("learned") or ()
    ]
    title = f"LEARNED from the measurement of {plan['host'].get('measured')}: {_count(len(rows), 'lever')}"
    return title, table(_LEARNED, rows, width=width) if rows else []


def _budget(plan: Mapping[str, Any], width: int) -> List[str]:
    ram = plan["host"]["ram"]
    rows = [
        (
            str(row["component"]).replace("_", " "),
            _mib(row["bytes"]),
            _share(row["bytes"], ram),
            row["why"],
        )
        for row in plan["budget"]
    ]
    total = sum(row["bytes"] for row in plan["budget"])
    if total < ram:
        left = ram - total
        rows.append(("not assigned", _mib(left), _share(left, ram), "left to the page cache and to peaks"))
    rows.append(("total", _mib(ram), _share(ram, ram), "all of the RAM"))
    return table(_BUDGET, rows, width=width)


def _restart_section(run: Run, width: int) -> Tuple[str, List[str]]:
    if run.interruptions is not None:
        return "APPLIED", _bullets(
            run.interruptions or ["nothing to do: the containers were as their files say"], width
        )
    if any(posixpath.basename(path) in _DEFAULT_FILES for path in run.created):
        if run.apply:
            return "START: what a real run will do", _bullets(["starts PostgreSQL, then Synapse"], width)
        return "START: nothing has been started, this writes files", _commands(run, ())
    if run.compose is None and run.homeserver is None:
        return "RESTART", []
    restarts = _restarts(run)
    if not restarts:
        return "RESTART", ["not needed: no lever differs from the plan"]
    rows = [(one.service, one.action, ", ".join(one.because)) for one in restarts]
    if run.apply and run.check_mode:
        return "RESTART: what a real run will do", table(_RESTARTS, rows, width=width)
    return "RESTART: nothing has been restarted, this writes files", [
        *table(_RESTARTS, rows, width=width),
        *_commands(run, restarts),
    ]


def _restarts(run: Run) -> List[_Restart]:
    """One entry a service, with the strongest action that either file asks for."""
    merged: Dict[str, _Restart] = {}
    for result in (run.compose, run.homeserver):
        for entry in (result or {}).get("restarts") or ():
            service = str(entry["service"])
            before = merged.get(service, _Restart(service, entry["action"]))
            because = [_leaf(name) for name in entry["because"]]
            merged[service] = _Restart(
                service,
                max(before.action, entry["action"], key=_STRONGEST_LAST.index),
                (*before.because, *(name for name in because if name not in before.because)),
            )
    return [merged[service] for service in sorted(merged)]


def _commands(run: Run, restarts: Sequence[_Restart]) -> List[str]:
    """What to type. `up -d` recreates what compose's file changed, but does not see a changed homeserver.yaml."""
    rows: List[Tuple[str, str]] = []
    compose = _compose_command(run)
    actions = {name: [one.service for one in restarts if one.action == name] for name in _STRONGEST_LAST}
    if not restarts:
        rows.append((f"{compose} up -d", "starts it"))
    if actions["recreate"]:
        rows.append((f"{compose} up -d", f"recreates {', '.join(actions['recreate'])}"))
    if actions["restart"]:
        names = " ".join(shlex.quote(name) for name in actions["restart"])
        rows.append((f"{compose} restart {names}", "homeserver.yaml is read at the start"))
    if actions["reload"]:
        names = " ".join(shlex.quote(name) for name in actions["reload"])
        rows.append((f"{compose} kill -s HUP {names}", "only factors differ: SIGHUP is enough"))
    lines = ["after a real run:" if run.check_mode else "when it suits you:"]
    if run.project_dir:
        lines.append(f"  cd {shlex.quote(run.project_dir)}")
    longest = max((len(command) for command, _why in rows), default=0)
    return lines + [f"  {command.ljust(longest)}  # {why}" for command, why in rows]


def _compose_command(run: Run) -> str:
    path = str((run.compose or {}).get("path") or "")
    if not path or posixpath.basename(path) in _DEFAULT_FILES:
        return "docker compose"
    return f"docker compose -f {shlex.quote(path)}"


def _compressor(run: Run, width: int) -> List[str]:
    if run.compressor is None:
        return []
    state, job = run.compressor["state"], run.compressor
    if state == "installed":
        verb = "would be installed" if run.check_mode and job.get("changed") else "installed"
        text = f"{verb}: {job['script']} runs by {job['cron_file']} ({job['schedule']})"
    elif state == "removed":
        text = "would be removed" if run.check_mode and job.get("changed") else "removed"
    else:
        text = f"skipped: {job['reason']}"
    return paragraph(text, width=width)


def _warnings(run: Run) -> List[str]:
    found: List[str] = list(run.plan.get("warnings") or ())
    for result in (run.deployment, run.compose, run.homeserver, run.postgresql):
        found += [text for text in (result or {}).get("warnings") or () if text not in found]
    return found


def _bullets(texts: Sequence[str], width: int) -> List[str]:
    return [line for text in texts for line in paragraph(text, width=width, first="- ", rest="  ")]


def _show(value: Any) -> str:
    """A value as its file has it; None is a key that is not there."""
    if value is None:
        return "(none)"
    if isinstance(value, str):
        return value or '""'
    return json.dumps(value)


def _mib(size: int) -> str:
    return f"{size / units.MIB:.1f}".replace(".0", "")


def _share(size: int, ram: int) -> str:
    return f"{100 * size / ram:.0f}%"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
