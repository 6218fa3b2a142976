# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a plan to Synapse's homeserver.yaml, in place or by a drop-in beside it.

C(prepare) reads and thinks, C(write) writes: check mode leaves out the latter only.
"""

from __future__ import annotations

import copy
import os
import re
import stat
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import _backups, _files
from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import (
    is_known_cache,
    known_name,
    nearest_cache,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem, PlanError
from ansible_collections.synapse.tuning.plugins.module_utils._core.homeserver_values import means_the_same
from ansible_collections.synapse.tuning.plugins.module_utils._yaml import Document, mask, same

__all__ = ["Change", "Request", "dropin_beside", "prepare", "write"]

_FACTORS = ("caches", "per_cache_factors")
_POOL = ("database", "args")

_HEADER = """\
# The tuning of Synapse, made by synapse.tuning from its plan.
# Synapse replaces whole sections by those of a later file, so a section here repeats all of {base}'s,
# passwords included. Edit {base} and run again: the sections here are made from it anew.
# Start Synapse with both: --config-path {base} --config-path {name}
"""


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    plan: as plan_info returns it; path: the homeserver.yaml; override: write the drop-in and
    leave that file alone; dropin_path: where, None for beside it; service: the name that the
    restarts get.
    """

    plan: Mapping[str, Any]
    path: str
    override: bool = False
    dropin_path: Optional[str] = None
    service: str = "synapse"


@dataclass(frozen=True)
class Change:
    """What is to be done to one file.

    path: the file; before: its text, None where it does not exist; after: the text it should
    have; base: the homeserver.yaml. The other fields are the module's return values.
    """

    path: str
    before: Optional[str]
    after: str
    base: str
    levers: Tuple[Mapping[str, Any], ...]
    restarts: Tuple[Mapping[str, Any], ...]
    warnings: Tuple[str, ...]
    notes: Tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return self.after != (self.before or "")

    def diff(self) -> Dict[str, str]:
        """The change for C(--diff), secrets masked."""
        before = mask(self.before or "")
        return {
            "before": before,
            "after": mask(self.after) if self.changed else before,
            "before_header": self.path,
            "after_header": self.path,
        }


class _Setting(NamedTuple):
    """One planned value (None: the key must be absent) and where the file has, or gets, it."""

    lever: str
    path: Tuple[str, ...]
    value: Any


def dropin_beside(path: str) -> str:
    """The drop-in's path for a homeserver.yaml: C(homeserver.tuning.yaml)."""
    return re.sub(r"\.ya?ml$", "", path) + ".tuning.yaml"


def prepare(request: Request) -> Change:
    """Work out the change; reads files, writes none.

    Raises TuningError: no such file, YAML that cannot be read, a key in the way, not a plan.
    """
    planned = _read_plan(request.plan)
    base = Document.parse(_files.read_text(request.path), name=request.path, yaml_version="1.1")
    warnings: List[str] = []
    settings = [each for lever, value in planned.items() for each in _settings(base, lever, value)]
    warnings += _database_warnings(base, request.path, planned)
    warnings += _factor_warnings(base, request.path)
    dropin = request.dropin_path or dropin_beside(request.path)
    if request.override:
        if os.path.realpath(dropin) == os.path.realpath(request.path):
            raise FileProblem(
                f"{dropin}: the drop-in is {os.path.basename(request.path)} itself; give another dropin_path"
            )
        return _override(request, base, settings, dropin, warnings)
    return _in_place(request, base, settings, dropin, warnings)


def write(change: Change, *, keep: _backups.Keep) -> _backups.Written:
    """Write the change, and keep what was there before.

    Raises FileProblem with the file as it was.
    """
    if change.before is not None:
        return _backups.replace(change.path, change.after, keep=keep)
    # The drop-in repeats passwords: whoever can't read the one must not read the other.
    like = os.stat(change.base)
    mode = stat.S_IMODE(like.st_mode) & 0o666
    return _backups.create(change.path, change.after, mode=mode, owner=like.st_uid, group=like.st_gid, keep=keep)


# -- the plan ------------------------------------------------------------------
def _read_plan(plan: Mapping[str, Any]) -> Dict[str, Any]:
    advice = "pass the value 'plan' that synapse.tuning.plan_info returns"
    if plan.get("schema_version") != 1:
        raise PlanError(f"the plan has schema_version {plan.get('schema_version')!r}, not 1; {advice}")
    try:
        return {lever: setting["value"] for lever, setting in plan["homeserver"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise PlanError(f"the plan is incomplete ({type(error).__name__}: {error}); {advice}") from error


def _settings(base: Document, lever: str, value: Any) -> List[_Setting]:
    """Where the file has a planned setting: nowhere for SQLite's pool, in each of several databases."""
    path = tuple(lever.split("."))
    if path[:2] == _POOL:
        return [
            _Setting(".".join((*section, *path[1:])), (*section, *path[1:]), value)
            for section, name in _databases(base)
            if name == "psycopg2"
        ]
    if path[:2] == _FACTORS and len(path) == 3:
        path = (*_FACTORS, _spelling(base, path[2]))
    return [_Setting(lever, path, value)]


def _databases(base: Document) -> List[Tuple[Tuple[str, ...], Any]]:
    """(path, engine) of each database; Synapse takes several under C(databases)."""
    several = base.get(("databases",))
    if isinstance(several, Mapping):
        return [(("databases", str(label)), base.get(("databases", label, "name"))) for label in several]
    return [(("database",), base.get(("database", "name"), "sqlite3"))]


def _spelling(base: Document, cache: str) -> str:
    """The cache's name as the file has it: Synapse compares letters only."""
    for name in base.get(_FACTORS) or ():
        if isinstance(name, str) and is_known_cache(name) and known_name(name) == known_name(cache):
            return name
    return cache


# -- warnings --------------------------------------------------------------------
def _database_warnings(base: Document, path: str, planned: Mapping[str, Any]) -> List[str]:
    if not any(lever.startswith("database.args.") for lever in planned):
        return []
    databases = _databases(base)
    found = [
        f"{path}: '{'.'.join(section)}' is SQLite, which has no connection pool and does not bear more than a few "
        "users, so no pool is set; migrate it to PostgreSQL with synapse_port_db"
        for section, name in databases
        if name != "psycopg2"
    ]
    if sum(name == "psycopg2" for _section, name in databases) > 1:
        found.append(
            f"{path}: each of {len(databases)} databases has a pool of its own; raise extra_connections to match"
        )
    return found


def _factor_warnings(base: Document, path: str) -> List[str]:
    found = []
    factors = base.get(_FACTORS)
    for name in factors if isinstance(factors, Mapping) else ():
        if is_known_cache(str(name)):
            continue
        where = f"{path}:{base.line((*_FACTORS, name))}"
        nearest = nearest_cache(str(name))
        if name == "get_event_cache":
            hint = "the event cache is called '*getEvent*'; rename or remove it"
        elif nearest:
            hint = f"did you mean '{nearest}'?"
        else:
            hint = "remove it"
        found.append(f"{where}: Synapse has no cache '{name}' and ignores its factor: {hint}")
    return found


def _alias_warnings(document: Document, path: str, settings: List[_Setting], differs: List[bool]) -> List[str]:
    found = []
    for setting, differing in zip(settings, differs):
        lines = document.shared(setting.path) if differing else []
        if lines:
            where = ", ".join(map(str, lines))
            found.append(
                f"{path}: '{setting.lever}' is also used through an alias (line {where}), which changes with it"
            )
    return found


# -- in place ----------------------------------------------------------------------
def _in_place(request: Request, base: Document, settings: List[_Setting], dropin: str, warnings: List[str]) -> Change:
    before = base.text
    levers = [_lever(request, setting, base.get(setting.path)) for setting in settings]
    warnings = warnings + _alias_warnings(base, request.path, settings, [lever["differs"] for lever in levers])
    for setting, lever in zip(settings, levers):
        if lever["differs"]:
            _apply(base, setting)
    if os.path.exists(dropin):
        later = Document.parse(_files.read_text(dropin), name=dropin, yaml_version="1.1")
        sections = sorted({setting.path[0] for setting in settings if later.has(setting.path[:1])})
        if sections:
            warnings.append(
                f"{dropin} has {', '.join(sections)}, and wins over {request.path} where Synapse is started with both; "
                "remove the file, or use mode override"
            )
    return Change(
        path=request.path,
        before=before,
        after=base.text,
        base=request.path,
        levers=tuple(levers),
        restarts=tuple(_restarts(request.service, levers)),
        warnings=tuple(dict.fromkeys(warnings)),
        notes=(),
    )


def _apply(document: Document, setting: _Setting) -> None:
    if setting.value is None:
        document.remove(setting.path)
    else:
        document.set(setting.path, setting.value)


def _lever(request: Request, setting: _Setting, current: Any) -> Dict[str, Any]:
    differs = not means_the_same(setting.lever, current, setting.value)
    return {
        "file": "homeserver",
        "service": request.service,
        "lever": setting.lever,
        "current": current,
        "planned": setting.value,
        "differs": differs,
        "action": _action(setting.lever) if differs else "none",
    }


def _action(lever: str) -> str:
    """Synapse applies the cache factors on SIGHUP; all else is read once, at its start."""
    return "reload" if lever == "caches.global_factor" or lever.startswith("caches.per_cache_factors.") else "restart"


def _restarts(service: str, levers: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    because = [lever["lever"] for lever in levers if lever["differs"]]
    if not because:
        return []
    action = "restart" if any(lever["action"] == "restart" for lever in levers) else "reload"
    return [{"service": service, "action": action, "because": because}]


# -- override ------------------------------------------------------------------------
def _override(request: Request, base: Document, settings: List[_Setting], path: str, warnings: List[str]) -> Change:
    names = {"base": os.path.basename(request.path), "name": os.path.basename(path)}
    before = _files.read_text(path) if os.path.lexists(path) else None
    document = Document.parse(_HEADER.format(**names) if before is None else before, name=path, yaml_version="1.1")
    effective = {**base.data, **document.data}
    levers = [_lever(request, setting, _reach(effective, setting.path)) for setting in settings]
    stale = []
    for section, wanted in _sections(base, document, settings).items():
        tuned = copy.deepcopy(effective.get(section))
        for setting in settings:
            if setting.path[0] == section and not means_the_same(
                setting.lever, _reach(effective, setting.path), setting.value
            ):
                tuned = _merged(tuned, setting.path[1:], setting.value)
        document.set((section,), wanted)
        if not same(tuned, wanted):  # the user has edited homeserver.yaml since
            stale.append(section)
    after = document.text if before is not None or document.data else ""
    if before is None:  # Synapse's list of files is fixed when it starts
        levers = [{**lever, "action": "restart" if lever["differs"] else "none"} for lever in levers]
    restarts = _restarts(request.service, levers)
    if stale:
        because = [*(restarts[0]["because"] if restarts else ()), *stale]
        restarts = [{"service": request.service, "action": "restart", "because": because}]
    notes = []
    if after:
        notes.append(
            f"Synapse must be started with both files: --config-path {request.path} --config-path {path} "
            "(as it sees them, in this order); the later one replaces whole sections"
        )
    return Change(
        path=path,
        before=before,
        after=after,
        base=request.path,
        levers=tuple(levers),
        restarts=tuple(restarts),
        warnings=tuple(dict.fromkeys(warnings)),
        notes=tuple(notes),
    )


def _sections(base: Document, dropin: Document, settings: List[_Setting]) -> Dict[str, Any]:
    """The drop-in's sections: the user's own, whole, with the planned values.

    Only those that it has already, or that the plan changes: a section that is right as it is
    need not be repeated.
    """
    found: Dict[str, Any] = {}
    for setting in settings:
        section = setting.path[0]
        if means_the_same(setting.lever, base.get(setting.path), setting.value) and not dropin.has((section,)):
            continue
        found.setdefault(section, copy.deepcopy(base.get((section,))))
    for setting in settings:
        section = setting.path[0]
        if section in found and not means_the_same(setting.lever, base.get(setting.path), setting.value):
            found[section] = _merged(found[section], setting.path[1:], setting.value)
    return found


def _merged(section: Any, path: Tuple[str, ...], value: Any) -> Any:
    """The section with the value at the path; without the key where the value is None."""
    if not path:
        return value
    whole = dict(section) if isinstance(section, Mapping) else {}
    if value is None and len(path) == 1:
        whole.pop(path[0], None)
    elif value is not None or path[0] in whole:
        whole[path[0]] = _merged(whole.get(path[0]), path[1:], value)
    return whole


def _reach(data: Any, path: Tuple[str, ...]) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data
