# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection costs: a benchmark, not a test, for it judges nothing and needs a quiet machine.

    make bench        (or: .venv/bin/python tests/lab/bench_playbook.py --help)

Three questions, each about runs that find everything done (changed=0), as nearly all runs do:

* How long does the playbook take beside a hand-written one of stock modules that writes the same
  files (stock/stock.yml)? Both run in turn, in pairs whose order alternates, so that a machine
  that gets slower or faster hits both.
* How long does a plan take?
* What does a host cost among 100 hosts, beside one among 10?

The answers go to docs/benchmarks/playbook.md and .json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from measured_on import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
STOCK = pathlib.Path(__file__).with_name("stock") / "stock.yml"
TUNE = ROOT / "playbooks" / "tune-synapse.yml"
COLLECTIONS = pathlib.Path(sys.prefix) / "collections"

USERS = 5
RAM = "2G"

GOAL_RATIO = 1.5
GOAL_PLAN_MILLISECONDS = 5.0
GOAL_HOST_RATIO = 1.0


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run of ansible-playbook: its wall time, its processor time and what it printed."""

    seconds: float
    processor: float
    output: str


def run(playbook: pathlib.Path, inventory: str, variables: dict[str, Any], *options: str) -> Run:
    """Run a playbook, which must succeed."""
    command = [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), str(playbook), "-i", inventory]
    variables = {**variables, "ansible_python_interpreter": sys.executable}
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
    }
    start, used = time.perf_counter(), processor_time()
    done = subprocess.run(
        [*command, *options, "-e", json.dumps(variables)],
        env=environment,
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{playbook} failed:\n{done.stdout[-8000:]}{done.stderr[-4000:]}")
    return Run(seconds, processor_time() - used, done.stdout)


def processor_time() -> float:
    """Seconds that finished children, and theirs, have computed: little moved by what else the machine does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def second_run(playbook: pathlib.Path, inventory: str, variables: dict[str, Any], *options: str) -> Run:
    """Run a playbook of which nothing must change, or the measurement is of something else."""
    done = run(playbook, inventory, variables, *options)
    changed = [int(number) for number in re.findall(r"changed=(\d+)", done.output)]
    if not changed or any(changed):
        sys.exit(f"{playbook}: the run changed something:\n{done.output[-8000:]}")
    return done


def tune_variables() -> dict[str, Any]:
    return {
        "synapse_tuning_create": True,
        "synapse_tuning_apply": False,
        "synapse_tuning_users": USERS,
        "synapse_tuning_ram": RAM,
        # Not in /etc/cron.d: a benchmark leaves no job on the machine.
        "synapse_tuning_compressor_cron_file": "{{ synapse_tuning_project_dir }}/cron",
    }


def has_cron() -> bool:
    """Whether the playbook installs the compressor's job here: it takes root and cron."""
    return os.geteuid() == 0 and shutil.which("crontab") is not None


def templates_of(deployment: pathlib.Path, templates: pathlib.Path, *, cron: bool) -> dict[str, Any]:
    """Make the stock playbook's templates of what our playbook wrote, with a variable for each planned value.

    Returns the variables. So both playbooks write the same files, byte for byte, whatever the
    collection's next version writes.
    """
    templates.mkdir()
    plan = json.loads((deployment / "plan.json").read_text(encoding="utf-8"))
    shutil.copy(deployment / "plan.json", templates)
    planned = {
        f"{section}.{name}": setting["value"]
        for section in ("homeserver", "postgresql")
        for name, setting in plan[section].items()
        if setting["value"] is not None
    }
    compose = (deployment / "compose.yml").read_text(encoding="utf-8")
    homeserver = (deployment / "data" / "homeserver.yaml").read_text(encoding="utf-8")
    for dotted in planned:
        section, name = dotted.split(".", 1)
        variable = f'{{{{ stock_values["{dotted}"] }}}}'
        if section == "postgresql":
            compose = compose.replace(f"{name}={planned[dotted]}", f"{name}={variable}")
        else:
            leaf = re.escape(name.rpartition(".")[2])
            # Booleans differ in their spelling between YAML and Jinja.
            if not isinstance(planned[dotted], bool):
                value = re.escape(str(planned[dotted]))
                homeserver = re.sub(rf"(?m)^(\s*[\"']?{leaf}[\"']?: )({value})$", rf"\g<1>{variable}", homeserver)
    if cron:
        # The script is written once and its text is nothing for Jinja to read.
        script = (deployment / "compress-state.sh").read_text(encoding="utf-8")
        (templates / "compress-state.sh.j2").write_text(f"{{% raw %}}{script}{{% endraw %}}", encoding="utf-8")
    (templates / "compose.yml.j2").write_text(compose, encoding="utf-8")
    (templates / "homeserver.yaml.j2").write_text(homeserver, encoding="utf-8")
    return {"stock_values": planned, "stock_templates": str(templates)}


def same_files(ours: pathlib.Path, stock: pathlib.Path) -> None:
    for name in ("compose.yml", "data/homeserver.yaml", "plan.json"):
        if (ours / name).read_bytes() != (stock / name).read_bytes():
            sys.exit(f"the two playbooks wrote different files: {ours / name}, {stock / name}")


def compare(work: pathlib.Path, *, pairs: int) -> dict[str, Any]:
    cron = has_cron()
    ours, stock = work / "ours", work / "stock"
    local = ("-c", "local")
    tune = {**tune_variables(), "synapse_tuning_project_dir": str(ours)}
    first = run(TUNE, "localhost,", tune, *local)
    values = templates_of(ours, work / "templates", cron=cron)
    (stock / "data").mkdir(parents=True)
    hand = {**values, "stock_dir": str(stock), "stock_cron": cron}
    run(STOCK, "localhost,", hand, *local)
    same_files(ours, stock)

    # Once each without the clock: caches of the disk and of Python's compiler.
    second_run(TUNE, "localhost,", tune, *local)
    second_run(STOCK, "localhost,", hand, *local)
    both: list[tuple[Run, Run]] = []
    for number in range(pairs):
        if number % 2:
            b = second_run(STOCK, "localhost,", hand, *local)
            a = second_run(TUNE, "localhost,", tune, *local)
        else:
            a = second_run(TUNE, "localhost,", tune, *local)
            b = second_run(STOCK, "localhost,", hand, *local)
        both.append((a, b))
        ratio = a.seconds / b.seconds
        print(f"  pair {number + 1}/{pairs}: ours {a.seconds:.2f} s, stock {b.seconds:.2f} s: {ratio:.2f}", flush=True)
    return {
        "pairs": pairs,
        "cron": cron,
        "first_run_seconds": round(first.seconds, 3),
        "wall": in_pairs([(a.seconds, b.seconds) for a, b in both]),
        "processor": in_pairs([(a.processor, b.processor) for a, b in both]),
        "goal": GOAL_RATIO,
    }


def in_pairs(times: list[tuple[float, float]]) -> dict[str, float]:
    """The medians of both sides, and of their ratio in each pair."""
    ratios = sorted(a / b for a, b in times)
    return {
        "ours_seconds": round(statistics.median(a for a, _b in times), 3),
        "stock_seconds": round(statistics.median(b for _a, b in times), 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(ratios[0], 3),
        "ratio_max": round(ratios[-1], 3),
    }


def plan_time(*, repeat: int) -> dict[str, Any]:
    sys.path.insert(0, str(COLLECTIONS))
    from ansible_collections.synapse.tuning.plugins.module_utils._core import host, plan

    gib = 1024**3
    hosts = {
        f"{USERS} users, 2 GiB": host.Inputs(users=USERS, ram=2 * gib),
        "2,000 users, 64 GiB, 16 CPUs, 4 workers": host.Inputs(users=2000, ram=64 * gib, cpus=16, workers=4),
        "100,000 users, 256 GiB, 64 CPUs": host.Inputs(users=100_000, ram=256 * gib, cpus=64),
    }
    result = {}
    for name, inputs in hosts.items():
        times = []
        for _run in range(repeat):
            start = time.perf_counter()
            plan.make_plan(inputs)
            times.append((time.perf_counter() - start) * 1000)
        times.sort()
        result[name] = {
            "median_milliseconds": round(statistics.median(times), 3),
            "p95_milliseconds": round(times[int(len(times) * 0.95)], 3),
        }
    return {"repeat": repeat, "hosts": result, "goal_milliseconds": GOAL_PLAN_MILLISECONDS}


@dataclasses.dataclass
class Fleet:
    """Hosts with local connections, each with a directory of its own."""

    inventory: pathlib.Path
    size: int

    @classmethod
    def make(cls, work: pathlib.Path, size: int) -> Fleet:
        inventory = work / f"hosts-{size}.ini"
        lines = [
            f"host{number:03} ansible_connection=local synapse_tuning_project_dir={work}/fleet-{size}/{number:03}"
            for number in range(size)
        ]
        inventory.write_text("\n".join([*lines, ""]), encoding="utf-8")
        return cls(inventory, size)


def many_hosts(work: pathlib.Path, *, sizes: tuple[int, int], forks: int, rounds: int) -> dict[str, Any]:
    variables = tune_variables()
    options = ("--forks", str(forks))
    fleets = [Fleet.make(work, size) for size in sizes]
    for fleet in fleets:
        run(TUNE, str(fleet.inventory), variables, *options)
    runs: dict[int, list[Run]] = {size: [] for size in sizes}
    for number in range(rounds):
        for fleet in fleets if number % 2 else fleets[::-1]:
            done = second_run(TUNE, str(fleet.inventory), variables, *options)
            runs[fleet.size].append(done)
            print(f"  round {number + 1}/{rounds}: {fleet.size} hosts {done.seconds:.1f} s", flush=True)
    return {
        "forks": forks,
        "rounds": rounds,
        "sizes": list(sizes),
        "wall": per_host({size: [done.seconds for done in each] for size, each in runs.items()}),
        "processor": per_host({size: [done.processor for done in each] for size, each in runs.items()}),
        "goal": GOAL_HOST_RATIO,
    }


def per_host(times: dict[int, list[float]]) -> dict[str, float]:
    """The median cost of a host among few and among many, and their ratio."""
    few, many = (statistics.median(seconds) / size for size, seconds in sorted(times.items()))
    return {"few_seconds": round(few, 3), "many_seconds": round(many, 3), "ratio": round(many / few, 3)}


def markdown(result: dict[str, Any]) -> str:
    where, second, plans, hosts = (result[key] for key in ("machine", "second_run", "plan", "many_hosts"))
    few, many = hosts["sizes"]
    cron = "with" if second["cron"] else "without"
    sides = "\n".join(
        f"| {name} | {times['ours_seconds']:.2f} s | {times['stock_seconds']:.2f} s "
        f"| **{times['ratio']:.2f}** ({times['ratio_min']:.2f} to {times['ratio_max']:.2f}) |"
        for name, times in (("wall time", second["wall"]), ("processor time", second["processor"]))
    )
    fleets = "\n".join(
        f"| {name} | {times['few_seconds']:.2f} s | {times['many_seconds']:.2f} s | **{times['ratio']:.2f}** |"
        for name, times in (("wall time", hosts["wall"]), ("processor time", hosts["processor"]))
    )
    rows = "\n".join(
        f"| {name} | {times['median_milliseconds']:.2f} ms | {times['p95_milliseconds']:.2f} ms |"
        for name, times in plans["hosts"].items()
    )
    return f"""\
<!--
SPDX-FileCopyrightText: 2026 The synapse.tuning authors
SPDX-License-Identifier: GPL-3.0-or-later
-->
# What the playbook costs

Written by `make bench` (`tests/lab/bench_playbook.py`) on {where["cores"]} cores and {where["memory_gib"]} GiB,
{where["system"]}, Python {where["python"]}, ansible-core {where["ansible_core"]}, ruamel.yaml {where["ruamel_yaml"]};
load average before it: {where["load_average_before"]}. The raw figures are in `playbook.json`.

## A run that finds everything done

The whole of `tune-synapse.yml` beside a playbook of `template`, `copy` and `cron` tasks that writes the same
`compose.yml`, `homeserver.yaml` and `plan.json` byte for byte: `changed=0` in both, facts gathered in neither by the
play, {cron} the compressor's script and cron job on both sides (they need root and cron), {second["pairs"]} pairs in
alternating order.

| | tune-synapse.yml | stock modules | ratio in a pair |
| --- | --- | --- | --- |
{sides}

Medians, and the smallest and largest ratio; the goal is a ratio of wall time of at most {second["goal"]}.

The first run, which writes everything, took {second["first_run_seconds"]:.2f} s.

## A plan

`make_plan`, {plans["repeat"]} times each; the goal is a median below {plans["goal_milliseconds"]:.0f} ms.

| host | median | 95th percentile |
| --- | --- | --- |
{rows}

## Many hosts

One inventory of hosts with local connections and a directory each, `--forks {hosts["forks"]}`, everything done
before; seconds a host, median of {hosts["rounds"]}.

| | of {few} hosts | of {many} hosts | ratio |
| --- | --- | --- | --- |
{fleets}

The goal is a ratio of wall time of at most {hosts["goal"]:.1f}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the playbook's cost.")
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--repeat", type=int, default=500, help="plans of each host")
    parser.add_argument("--sizes", type=int, nargs=2, default=(10, 100), metavar=("FEW", "MANY"))
    parser.add_argument("--forks", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "docs" / "benchmarks")
    arguments = parser.parse_args()

    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="synapse-tuning-bench-") as directory:
        work = pathlib.Path(directory)
        print("A plan", flush=True)
        plans = plan_time(repeat=arguments.repeat)
        print("A second run, against stock modules", flush=True)
        second = compare(work, pairs=arguments.pairs)
        print("Many hosts", flush=True)
        hosts = many_hosts(work, sizes=tuple(arguments.sizes), forks=arguments.forks, rounds=arguments.rounds)

    result = {
        "machine": machine(load, "ansible-core", "ruamel.yaml"),
        "second_run": second,
        "plan": plans,
        "many_hosts": hosts,
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    text = markdown(result)
    (arguments.output / "playbook.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (arguments.output / "playbook.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
