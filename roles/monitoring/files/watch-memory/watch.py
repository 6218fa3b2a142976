# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""See what Synapse and PostgreSQL hold, write it for Prometheus, and tell of what is the matter: watch.py [--now SECONDS].

cron starts it every few minutes. What it has to do is in configuration.json beside it, what it has to remember in
state.json: a day's samples and the alerts. An alert's command is run by sh when its condition begins, once a day while
it lasts, and when it has ended. Exit status: 0; 1 where something could not be read or told, which is then said.
"""

from __future__ import annotations

import argparse
import calendar
import fcntl
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, List, Mapping

import alerts
import sources

HERE = pathlib.Path(__file__).resolve().parent
NEW = {"held": {}, "kills": [], "oom": {}, "caches": [], "tables": [], "rows": 0, "database": 0, "alerts": {}}


def look(config: Mapping[str, Any], state: Dict[str, Any], *, now: float) -> None:
    """Take a sample of everything into the state: `now`, what the parts hold; `missing`, what could not be read and why."""
    host = sources.meminfo()
    containers, missing = sources.find(config)
    state.update(now={"host": host}, missing=missing, compressed=sources.compressed(config["compressor_status"]))
    for part, container in containers.items():
        try:
            found = sources.memory(sources.cgroup(config, container), ram=int(host["limit"]))
        except (sources.Unread, KeyError) as error:
            state["missing"][part] = f"{error}"
            continue
        begun = container["State"]["StartedAt"][:19]
        state["now"][part] = {**found, "started": calendar.timegm(time.strptime(begun, "%Y-%m-%dT%H:%M:%S"))}
    remember_memory(state, now=now)
    remember_kills(state, containers, now=now)
    try:
        remember_caches(state, sources.caches(config, containers.get("synapse")), now=now)
    except sources.Unread as error:
        state["missing"]["caches"] = f"{error}"
    try:
        # Once an hour will do.
        if not (state["tables"] and now - state["tables"][-1][0] < 0.98 * alerts.HOUR):
            amount, state["rows"], state["database"] = sources.tables(config, containers.get("postgresql"))
            state["tables"] = [each for each in state["tables"] if now - 25 * alerts.HOUR < each[0] < now] + [
                [now, amount]
            ]
    except sources.Unread as error:
        state["missing"]["tables"] = f"{error}"


def remember_memory(state: Dict[str, Any], *, now: float) -> None:
    """Keep what the parts hold for a day, at most every four minutes."""
    for part in alerts.PARTS:
        kept = [each for each in state["held"].get(part, []) if now - alerts.DAY - alerts.HOUR < each[0] < now]
        if part in state["now"] and not (kept and now - kept[-1][0] < 240):
            kept.append([now, state["now"][part]["held"] + state["now"][part]["swap"]])
        state["held"][part] = kept


def remember_kills(state: Dict[str, Any], containers: Mapping[str, Any], *, now: float) -> None:
    """Keep the kills of the last hour, and how many there were of each part since the first check.

    Where the first process of a container is killed its cgroup goes with it, and its count: then the host has counted
    a kill that no part has, and Docker has restarted a container.
    """
    oom = state["oom"]
    before, total = oom.get("before", {}), oom.setdefault("total", {"synapse": 0, "postgresql": 0, "other": 0})
    host = int(state["now"]["host"]["oom_kills"])
    unexplained = max(host - before.get("host", host), 0)
    kills, restarted = {}, []
    for part, container in containers.items():
        if part in state["now"]:
            there = [
                container["Id"],
                container["State"]["StartedAt"],
                container["RestartCount"],
                state["now"][part]["oom_kills"],
            ]
            old = before.get(part, there)
            kills[part] = int(there[3] - (old[3] if old[:2] == there[:2] else 0))
            restarted += [part] if old[0] == there[0] and there[2] > old[2] else []
            before[part] = there
    unexplained = max(unexplained - sum(kills.values()), 0)
    if restarted and unexplained:
        kills[restarted[0]] += unexplained
        unexplained = 0
    # A host that is a container itself sees what happens to its neighbours.
    kills["other"] = 0 if os.path.exists("/run/systemd/container") else unexplained
    state["kills"] = [each for each in state["kills"] if now - alerts.HOUR < each[0] <= now]
    for part, number in kills.items():
        total[part] += number
        if number:
            state["kills"].append([now, part, number])
    oom["before"] = {**before, "host": host}


def remember_caches(state: Dict[str, Any], found: Mapping[str, List[float]], *, now: float) -> None:
    """Keep the caches' counters of the last half an hour of this Synapse."""
    begun = state["now"].get("synapse", {}).get("started")
    kept = [each for each in state["caches"] if now - alerts.HOUR / 2 < each["t"] < now and each["started"] == begun]
    state["caches"] = [*kept, {"t": now, "started": begun, "caches": found}]


def metrics(config: Mapping[str, Any], state: Mapping[str, Any], *, now: float) -> str:
    """What was seen, in Prometheus' text format."""
    parts: Dict[str, Any] = state["now"]
    about = f'project="{config["project"]}"'
    lines: List[str] = []

    def gauge(name: str, explained: str, values: Mapping[str, float], kind: str = "gauge") -> None:
        if values:
            lines.extend((f"# HELP synapse_tuning_{name} {explained}", f"# TYPE synapse_tuning_{name} {kind}"))
            lines.extend(f"synapse_tuning_{name}{{{about}{labels}}} {value:.0f}" for labels, value in values.items())

    def each(key: str) -> Dict[str, float]:
        return {f',part="{part}"': seen[key] for part, seen in parts.items() if key in seen}

    gauge("last_check_timestamp_seconds", "When this was written.", {"": now})
    up = {source: source not in state["missing"] for source in (*alerts.PARTS, "caches", "tables")}
    gauge("source_up", "Whether it could be read.", {f',source="{source}"': number for source, number in up.items()})
    gauge("start_time_seconds", "When the part's container was started.", each("started"))
    gauge("memory_held_bytes", "Anonymous and shared memory: what only swap or a kill gives back.", each("held"))
    gauge("memory_swapped_bytes", "What of it is swapped out.", each("swap"))
    gauge("memory_working_set_bytes", "All but the page cache that is unused.", each("working_set"))
    gauge("memory_limit_bytes", "What the part can have; the host's memory where it has no limit.", each("limit"))
    kills = {f',part="{part}"': number for part, number in state["oom"]["total"].items()}
    gauge("oom_kills_total", "Processes killed for want of memory since the first check.", kills, "counter")
    if state["tables"]:
        gauge(
            "state_groups_state_bytes",
            "The table with its indexes, as of an hour ago at most.",
            {"": state["tables"][-1][1]},
        )
        gauge("state_groups_state_rows", "Its rows, as PostgreSQL estimates them.", {"": state["rows"]})
        gauge("database_bytes", "All of Synapse's database.", {"": state["database"]})
    return "\n".join(lines) + "\n"


def write(path: pathlib.Path, text: str, mode: int) -> None:
    """Write a file whole, so that nobody reads half of it."""
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def tell(command: str, news: Mapping[str, str]) -> bool:
    """Run the alert's command, or say it where there is none; whether it was told."""
    if not command:
        print(f"{news['alert']} {news['state']}: {news['text']}")
        return True
    names = {
        "SYNAPSE_TUNING_ALERT": "alert",
        "SYNAPSE_TUNING_ABOUT": "about",
        "SYNAPSE_TUNING_STATE": "state",
        "SYNAPSE_TUNING_TEXT": "text",
    }
    environment = {**os.environ, **{name: news[key] for name, key in names.items()}}
    try:
        run = subprocess.run(
            ["/bin/sh", "-c", command], env=environment, stdin=subprocess.DEVNULL, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"the alert's command took too long to tell: {news['text']}", file=sys.stderr)
        return False
    if run.returncode != 0:
        print(f"the alert's command failed with exit status {run.returncode} to tell: {news['text']}", file=sys.stderr)
    return run.returncode == 0


def load(path: pathlib.Path) -> Dict[str, Any]:
    """What the check before has left; nothing where that cannot be read."""
    try:
        return {**json.loads(json.dumps(NEW)), **json.loads(path.read_text(encoding="utf-8"))}
    except FileNotFoundError:
        pass
    except ValueError:
        print(f"{path} cannot be read, so this is the first check", file=sys.stderr)
    return dict(json.loads(json.dumps(NEW)))


def main() -> int:
    """Check once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--now", type=float, default=time.time(), help="another time than the clock's, in seconds since 1970"
    )
    parser.add_argument("--missing", action="store_true", help="only print what cannot be read and why, as JSON")
    arguments = parser.parse_args()
    now = arguments.now
    with open(HERE / "configuration.json", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if not arguments.missing:
                sys.exit("another check has not ended yet, nothing done")
        config = json.load(file)
        state = load(HERE / "state.json")
        look(config, state, now=now)
        if arguments.missing:
            print(json.dumps(state["missing"]))
            return 0
        found = alerts.conditions(state, now=now, rules=config["thresholds"])
        news = alerts.transitions(state["alerts"], found, now=now, rules=config["thresholds"], seen=state["now"])
        failed = False
        try:
            write(pathlib.Path(config["status_file"]), metrics(config, state, now=now), 0o644)
        except OSError as error:
            print(f"the status cannot be written to {config['status_file']}: {error.strerror}", file=sys.stderr)
            failed = True
        for each in news:
            if not tell(config["alert_command"], each):
                failed = True
            elif each["state"] == "firing":
                state["alerts"][each["name"]]["told"] = now
            else:
                del state["alerts"][each["name"]]
        write(HERE / "state.json", json.dumps(state), 0o600)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
