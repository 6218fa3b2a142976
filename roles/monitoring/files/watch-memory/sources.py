# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there: containers by docker, memory by cgroups and procfs, caches by Synapse's metrics, tables by psql."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple


class Unread(Exception):
    """What could not be read, and why, in one line."""


def docker(config: Mapping[str, Any], *arguments: str) -> str:
    """What docker prints. Raises Unread."""
    command = ["docker", *(["--host", config["docker_host"]] if config["docker_host"] else []), *arguments]
    try:
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unread(f"docker {arguments[0]}: {error}") from error
    if run.returncode != 0:
        raise Unread(f"docker {arguments[0]}: {' '.join(run.stderr.split()) or run.returncode}")
    return run.stdout


def find(config: Mapping[str, Any]) -> Tuple[Dict[str, Dict[str, Any]], Dict[str, str]]:
    """What docker knows of each part's container, and of the parts that have none that runs, why."""
    form = '{{.ID}}\t{{.Names}}\t{{.Label "com.docker.compose.service"}}\t{{.Label "com.docker.compose.project.working_dir"}}'
    project = os.path.realpath(config["project_dir"])
    parts: Dict[str, Any] = config["parts"]
    try:
        there = [line.split("\t") for line in docker(config, "ps", "--no-trunc", "--format", form).splitlines()]
        ids, missing = {}, {}
        for part, wanted in parts.items():
            for identity, name, service, folder in there:
                if (
                    wanted["container"] == name
                    if wanted["container"]
                    else (service == wanted["service"] and os.path.realpath(folder) == project)
                ):
                    ids[part] = identity
            if part not in ids:
                missing[part] = (
                    f"the container {wanted['container']} does not run"
                    if wanted["container"]
                    else f"the service {wanted['service']} does not run in {config['project_dir']}"
                )
        found = json.loads(docker(config, "inspect", "--type", "container", *ids.values())) if ids else []
    except Unread as error:
        return {}, dict.fromkeys(parts, f"{error}")
    return {part: each for part, identity in ids.items() for each in found if each["Id"] == identity}, missing


FILES = (
    *("memory.stat", "memory.usage_in_bytes", "memory.oom_control"),
    *("memory.current", "memory.max", "memory.events", "memory.swap.current"),
)


def cgroup(config: Mapping[str, Any], container: Mapping[str, Any]) -> Dict[str, int]:
    """The numbers of a container's cgroup, such as `memory.stat anon` and `memory.current`; of version 1 or 2.

    Read from this host: a command in a container that has no memory left may be the one that has it killed. Only where
    its processes are not this host's, as with a remote engine, it is read in there. Raises Unread.
    """
    try:
        with open(f"/proc/{container['State']['Pid']}/cgroup", encoding="utf-8") as file:
            places = [line.rstrip("\n").split(":", 2) for line in file if container["Id"] in line]
    except OSError:
        places = []
    for number, controllers, path in places:
        folder = "/sys/fs/cgroup" + ("/memory" if controllers else "") + path
        if (number == "0" or "memory" in controllers.split(",")) and os.path.exists(f"{folder}/memory.stat"):
            return numbers(
                f"{name} {line}"
                for name in FILES
                if os.path.exists(f"{folder}/{name}")
                for line in open(f"{folder}/{name}")
            )
    inside = 'cd /sys/fs/cgroup; [ ! -d memory ] || cd memory; for f; do [ ! -f "$f" ] || sed "s/^/$f /" "$f"; done'
    return numbers(docker(config, "exec", container["Id"], "sh", "-c", inside, "sh", *FILES).splitlines())


def numbers(lines: Iterable[str]) -> Dict[str, int]:
    """The lines that end in a number: what comes before it, and the number."""
    return {
        name: int(value) for name, _space, value in (line.strip().rpartition(" ") for line in lines) if value.isdigit()
    }


def memory(found: Mapping[str, int], *, ram: int) -> Dict[str, float]:
    """What the numbers of a cgroup mean, in bytes; without a limit of its own it has the host's memory."""
    stat = "memory.stat total_" if "memory.stat total_rss" in found else "memory.stat "
    if "memory.current" in found:
        held, limit = found["memory.stat anon"] + found["memory.stat shmem"], found.get("memory.max", ram)
    elif "memory.usage_in_bytes" in found:
        held = sum(found[stat + name] for name in ("active_anon", "inactive_anon", "unevictable"))
        limit = found["memory.stat hierarchical_memory_limit"]
    else:
        raise Unread("its cgroup has no memory controller")
    used = found.get("memory.current", found.get("memory.usage_in_bytes", 0))
    return {
        "held": held,
        "swap": found.get("memory.swap.current", found.get(stat + "swap", 0)),
        "limit": min(limit, ram),
        "working_set": max(used - found[stat + "inactive_file"], 0),
        "oom_kills": found.get("memory.events oom_kill", found.get("memory.oom_control oom_kill", 0)),
    }


def meminfo() -> Dict[str, float]:
    """The host as a part."""
    with open("/proc/meminfo", encoding="ascii") as file:
        found = {name: int(value.split()[0]) * 1024 for name, value in (line.split(":") for line in file)}
    with open("/proc/vmstat", encoding="ascii") as file:
        kills = numbers(file).get("oom_kill", 0)
    return {
        "held": found["MemTotal"] - found["MemAvailable"],
        "swap": found["SwapTotal"] - found["SwapFree"],
        "limit": found["MemTotal"],
        "oom_kills": kills,
    }


CACHE = re.compile(
    r'^synapse_util_caches_cache(_hits|_evicted_size|)\{(?=.*\bname="([^"]*)")(?!.*reason="(?!size"))[^}]*\} (\S+)$',
    re.M,
)


def caches(config: Mapping[str, Any], container: Optional[Mapping[str, Any]]) -> Dict[str, List[float]]:
    """Each cache's lookups, hits and entries that were thrown out for want of room. Raises Unread."""
    if config["metrics_url"]:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                config["metrics_url"], timeout=20
            ) as answer:
                text = answer.read().decode()
        except (OSError, ValueError) as error:
            raise Unread(f"Synapse's metrics: {error}") from error
    elif container is None:
        raise Unread("Synapse is not seen")
    else:
        url = f"http://localhost:{config['metrics_port']}/_synapse/metrics"
        try:
            text = docker(config, "exec", container["Id"], "curl", "--silent", "--fail", "--max-time", "20", url)
        except Unread as error:
            raise Unread(
                f"{url} in Synapse's container gives no metrics, {error}: add enable_metrics: true and a listener of type"
                " metrics, or set synapse_tuning_metrics_url"
            ) from error
    return parse_caches(text)


def parse_caches(text: str) -> Dict[str, List[float]]:
    """The same of the metrics' text."""
    found: Dict[str, List[float]] = {}
    for kind, name, value in CACHE.findall(text):
        found.setdefault(name, [0, 0, 0])[("", "_hits", "_evicted_size").index(kind)] += float(value)
    return found


SIZES = (
    "SELECT pg_total_relation_size(oid), greatest(reltuples, 0)::bigint, pg_database_size(current_database())"
    " FROM pg_class WHERE oid = to_regclass('state_groups_state')"
)
# As the image has it: the user is postgres and the database is named after the user, unless the container says otherwise.
PSQL = (
    'user=${POSTGRES_USER:-}; [ -n "$user" ] || [ -z "${POSTGRES_USER_FILE:-}" ] || user=$(cat "$POSTGRES_USER_FILE")\n'
    'name=${1:-${POSTGRES_DB:-}}; [ -n "$name" ] || [ -z "${POSTGRES_DB_FILE:-}" ] || name=$(cat "$POSTGRES_DB_FILE")\n'
    'user=${user:-postgres}; exec psql -XqAt -F " " -U "$user" -d "${name:-$user}" -c "$2"'
)


def tables(config: Mapping[str, Any], container: Optional[Mapping[str, Any]]) -> List[int]:
    """Bytes and estimated rows of state_groups_state, and bytes of Synapse's database. Raises Unread."""
    if container is None:
        raise Unread("PostgreSQL is not seen")
    found = docker(config, "exec", container["Id"], "sh", "-c", PSQL, "sh", config["database"], SIZES).split()
    if len(found) != 3:
        raise Unread("there is no table state_groups_state; say in which database Synapse is")
    return [int(each) for each in found]


def compressed(path: str) -> Dict[str, Optional[float]]:
    """When the compressor started and succeeded last, by its status; of what it does not say None."""
    try:
        with open(path, encoding="utf-8") as file:
            found = dict(
                re.findall(r"^synapse_tuning_compressor_last_(\w+)_timestamp_seconds\{.*\} (\d+)$", file.read(), re.M)
            )
    except OSError:
        found = {}
    return {
        name: float(found[key]) if key in found else None
        for name, key in (("started", "start"), ("succeeded", "success"))
    }
