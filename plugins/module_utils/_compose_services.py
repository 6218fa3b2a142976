# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services of a Compose file are Synapse and its PostgreSQL. Pure: works on plain data."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ServiceError

__all__ = [
    "dependencies",
    "environment",
    "extended",
    "find_database",
    "find_synapse",
    "image_of",
    "image_tag",
    "words_of",
    "workers",
]

Services = Mapping[str, Any]
Resolve = Callable[[Any], Any]

_SYNAPSE = (("matrixdotorg", "synapse"), ("element-hq", "synapse"))
_SYNAPSE_WORKERS = (("matrixdotorg", "synapse-workers"), ("element-hq", "synapse-workers"))
_PUBLIC_REGISTRIES = frozenset(("ghcr.io", "quay.io", "registry.gitlab.com", "public.ecr.aws"))
# /start.py takes these words for other jobs than running a server.
_ONE_SHOT = frozenset(("generate", "migrate_config"))


def image_of(services: Services, name: str, resolve: Resolve) -> str:
    """The image of a service, variables filled in, its own or that of a service it extends."""
    seen: List[str] = []
    while name not in seen:
        seen.append(name)
        service = _mapping(services.get(name))
        if service.get("image"):
            return str(resolve(service["image"]))
        name = extended(service) or name
    return ""


def extended(service: Any) -> Optional[str]:
    """The service of the same file that this one extends; None where there is none."""
    extends = _mapping(service).get("extends")
    if isinstance(extends, Mapping) and not extends.get("file"):
        extends = extends.get("service")
    return extends if isinstance(extends, str) else None


def image_tag(image: str) -> str:
    """The tag of an image, empty where it has none."""
    last = image.partition("@")[0].rpartition("/")[2]
    return last.partition(":")[2]


def _repository(image: str) -> Tuple[str, List[str]]:
    """(registry host or empty, path components) of an image reference."""
    path = image.partition("@")[0]
    head, slash, last = path.rpartition("/")
    components = (head + slash + last.partition(":")[0]).split("/")
    first = components[0]
    if len(components) > 1 and ("." in first or ":" in first or first == "localhost"):
        return first, components[1:]
    return "", components


def _is_synapse(image: str) -> bool:
    _host, components = _repository(image)
    return tuple(components[-2:]) in _SYNAPSE


def _is_synapse_workers(image: str) -> bool:
    _host, components = _repository(image)
    return tuple(components[-2:]) in _SYNAPSE_WORKERS


def _is_postgresql(image: str) -> bool:
    host, components = _repository(image)
    if components[-2:] == ["pgautoupgrade", "pgautoupgrade"]:
        return True
    if components[-1] != "postgres":
        return False
    # NAMESPACE/postgres on a public registry is somebody's own image; on a private one it mirrors the official.
    private = bool(host) and host not in _PUBLIC_REGISTRIES and not host.endswith("docker.io")
    return len(components) == 1 or components[-2] == "library" or private


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def words_of(value: Any) -> List[str]:
    """The words of a C(command) or C(entrypoint), roughly: for recognising, not for editing."""
    if isinstance(value, (list, tuple)):
        return [str(word) for word in value]
    return str(value).split() if value is not None else []


def environment(service: Any) -> Dict[str, Optional[str]]:
    """A service's C(environment), list or map, as a dict; None for a variable that is passed through."""
    found = _mapping(service).get("environment")
    if isinstance(found, Mapping):
        return {str(key): _text(value) for key, value in found.items()}
    variables: Dict[str, Optional[str]] = {}
    for item in found if isinstance(found, (list, tuple)) else []:
        name, equals, value = str(item).partition("=")
        variables[name] = value if equals else None
    return variables


def _text(value: Any) -> Optional[str]:
    """A YAML value as Compose passes it to a container."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def dependencies(service: Any) -> List[str]:
    """The services that C(depends_on), C(links) and the like of a service name."""
    found = _mapping(service).get("depends_on")
    names = [str(name) for name in found] if isinstance(found, (Mapping, list, tuple)) else []
    links = _mapping(service).get("links")
    if isinstance(links, (list, tuple)):
        names += [str(link).partition(":")[0] for link in links]
    return list(dict.fromkeys(names))


def _is_worker(service: Any, resolve: Resolve) -> bool:
    app = resolve(environment(service).get("SYNAPSE_WORKER"))
    words = words_of(_mapping(service).get("command")) + words_of(_mapping(service).get("entrypoint"))
    apps = [app or ""] + [word for word in words if re.search(r"\bsynapse\.app\.", word)]
    return any(each and not each.endswith("synapse.app.homeserver") for each in apps)


def _is_one_shot(service: Any) -> bool:
    words = words_of(_mapping(service).get("command"))
    return bool(words) and words[0] in _ONE_SHOT


def _candidates(services: Services, resolve: Resolve) -> List[str]:
    images = {name: image_of(services, name, resolve) for name in services}
    found = [name for name in services if _is_synapse(images[name]) or _is_synapse_workers(images[name])]
    return [name for name in found if not _is_one_shot(services[name])]


def workers(services: Services, synapse: str, resolve: Resolve) -> List[str]:
    """The services that run workers of the same Synapse, as far as their image says so."""
    return [
        name
        for name in _candidates(services, resolve)
        if name != synapse
        and (_is_worker(services[name], resolve) or _is_synapse_workers(image_of(services, name, resolve)))
    ]


def find_synapse(services: Services, *, named: Optional[str], resolve: Resolve, file: str) -> str:
    """The service that runs Synapse's main process.

    named: the user's own word for it. Raises ServiceError, naming the
    candidates, where there is none or more than one.
    """
    option = "synapse_service (synapse_tuning_synapse_service)"
    if named is not None:
        return _named(services, named, option, file)
    found = [name for name in _candidates(services, resolve) if not _is_worker(services[name], resolve)]
    # With a plain Synapse beside it, the workers image runs workers; alone, it runs it all.
    plain = [name for name in found if not _is_synapse_workers(image_of(services, name, resolve))]
    what = "Synapse's image (matrixdotorg/synapse, ghcr.io/element-hq/synapse)"
    return _only(plain or found, services, what, option, file)


def find_database(
    services: Services, *, synapse: Optional[str], named: Optional[str], resolve: Resolve, file: str
) -> str:
    """The service that runs Synapse's PostgreSQL.

    Among several it is the one that the service C(synapse) depends on. Raises
    ServiceError as C(find_synapse) does.
    """
    option = "db_service (synapse_tuning_db_service)"
    if named is not None:
        return _named(services, named, option, file)
    found = [name for name in services if _is_postgresql(image_of(services, name, resolve))]
    if len(found) > 1 and synapse is not None:
        needed = [name for name in dependencies(services[synapse]) if name in found]
        if len(needed) == 1:
            return needed[0]
        found = needed or found
    elsewhere = "; if it runs elsewhere, plan with topology dedicated_synapse" if synapse else ""
    return _only(found, services, "PostgreSQL's image (postgres)", option, file, elsewhere)


def _named(services: Services, name: str, option: str, file: str) -> str:
    if name not in services:
        raise ServiceError(f"{file}: there is no service '{name}' (there are: {_list(services)}); correct {option}")
    return name


def _only(found: List[str], services: Services, what: str, option: str, file: str, otherwise: str = "") -> str:
    if not found:
        raise ServiceError(
            f"{file}: no service has {what} (there are: {_list(services)}); set {option} to the one{otherwise}"
        )
    if len(found) > 1:
        raise ServiceError(f"{file}: more than one service has {what}: {_list(found)}; set {option} to one of them")
    return found[0]


def _list(names: Any) -> str:
    return ", ".join(str(name) for name in names) or "none"
