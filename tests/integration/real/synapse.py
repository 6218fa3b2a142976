# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Synapse, in this process: its configuration parser and the caches it defines."""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import pathlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from typing import Any

import synapse
import yaml
from synapse.config.homeserver import HomeServerConfig
from synapse.util.caches import deferred_cache, dictionary_cache, expiringcache, lrucache, stream_change_cache
from synapse.util.caches.descriptors import DeferredCacheDescriptor

__all__ = ["base_config", "cache_bases", "canonical", "nested", "parse"]

# The classes that follow a cache factor, and which argument of theirs is the size.
_RESIZABLE = {
    "AsyncLruCache": (lrucache.LruCache, "max_size", "cache_name"),
    "DeferredCache": (deferred_cache.DeferredCache, "max_entries", "name"),
    "DictionaryCache": (dictionary_cache.DictionaryCache, "max_entries", "name"),
    "ExpiringCache": (expiringcache.ExpiringCache, "max_len", "cache_name"),
    "LruCache": (lrucache.LruCache, "max_size", "cache_name"),
    "StreamChangeCache": (stream_change_cache.StreamChangeCache, "max_size", "name"),
}

EVENT_CACHE_SIZE = 10 * 1024
"""What Synapse makes of its default ``event_cache_size: 10K``."""


def base_config(directory: pathlib.Path) -> dict[str, Any]:
    """The configuration that Synapse generates for a new server, on PostgreSQL; with its keys on disk."""
    text = HomeServerConfig().generate_config(
        config_dir_path=str(directory),
        data_dir_path=str(directory),
        server_name="localhost",
        generate_secrets=True,
        report_stats=False,
    )
    config = yaml.safe_load(text)
    config["suppress_key_server_warning"] = True
    config["database"] = {"name": "psycopg2", "args": {"user": "synapse", "host": "db"}}
    HomeServerConfig().generate_missing_files(config, str(directory))
    return dict(config)


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """{"caches.global_factor": 0.2} as the mapping that homeserver.yaml holds; None means absent."""
    root: dict[str, Any] = {}
    for dotted, value in settings.items():
        if value is None:
            continue
        *parents, leaf = dotted.split(".")
        place = root
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    return root


def _merge(base: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value


def parse(base: Mapping[str, Any], settings: Mapping[str, Any], directory: pathlib.Path) -> HomeServerConfig:
    """What Synapse reads from the base with these dotted settings; raises what Synapse raises."""
    # Through YAML's text, because that is how the values reach Synapse; and as a copy,
    # because Synapse's parser changes the mapping that it is given.
    config = copy.deepcopy(dict(base))
    _merge(config, yaml.safe_load(yaml.safe_dump(nested(settings))))
    parsed = HomeServerConfig()
    parsed.parse_config_dict(config, str(directory), str(directory))
    return parsed


def canonical(name: str) -> str:
    """The form in which Synapse compares the names of caches."""
    return re.sub(r"[^A-Za-z_1-9]", "", name).lower()


def _decorated() -> Iterator[tuple[str, int]]:
    """The caches made by @cached: found as descriptors on the classes themselves."""
    for module in pkgutil.walk_packages(synapse.__path__, "synapse."):
        # Scripts and applications run when imported.
        if module.name.startswith(("synapse._scripts", "synapse.app.")):
            continue
        try:
            loaded = importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            # A feature whose optional package is not installed (JWT, OIDC, LDAP).
            if (error.name or "").startswith("synapse"):
                raise
            continue
        for owner in vars(loaded).values():
            if inspect.isclass(owner):
                for member in vars(owner).values():
                    if isinstance(member, DeferredCacheDescriptor):
                        yield member.name, member.max_entries


def _constructed() -> Iterator[tuple[str, int]]:
    """The caches made by calling a cache class with a literal name: found in the source."""
    root = pathlib.Path(synapse.__path__[0])
    for path in root.rglob("*.py"):
        if (root / "util" / "caches") in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield from _construction(node)


def _construction(call: ast.Call) -> Iterator[tuple[str, int]]:
    function = call.func.value if isinstance(call.func, ast.Subscript) else call.func
    called = ast.unparse(function).rpartition(".")[2]
    if called not in _RESIZABLE:
        return
    cls, size_argument, name_argument = _RESIZABLE[called]
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    name = given.get(name_argument)
    if not isinstance(name, ast.Constant):
        return
    size = given.get(size_argument)
    if size is None:
        base = inspect.signature(cls).parameters[size_argument].default
    elif "event_cache_size" in ast.unparse(size):
        base = EVENT_CACHE_SIZE
    else:
        base = ast.literal_eval(size)
    # An ExpiringCache of 0 has no limit, whatever the factor.
    if base:
        yield str(name.value), int(base)


def cache_bases() -> dict[str, int]:
    """Every cache of the installed Synapse that follows the factor: its name and its size at factor 1."""
    return dict([*_decorated(), *_constructed()])
