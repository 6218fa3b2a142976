# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role monitoring beside a deployment that is up: what its check tells of a leak, of load, of OOM kills and more.

Time is the test's: each check is told that hours have gone by. What it reads is real.
"""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import yaml
from client import Client, wait_until
from deployment import Deployment, free_ports
from running import Run, ansible_playbook

pytestmark = pytest.mark.slow

MIB = 1024**2
LIMIT = 600
HOUR = 3600.0
COMMAND = 'printf \'%s %s %s\\n\' "$SYNAPSE_TUNING_ALERT" "$SYNAPSE_TUNING_ABOUT" "$SYNAPSE_TUNING_STATE" >>{log}'


class Watch:
    """The check that the role has installed, and what was told.

    Attributes:
        now: What the check is told to be the time.
    """

    def __init__(self, stock: Deployment, folder: pathlib.Path) -> None:
        self.stock = stock
        self.folder = folder
        self.log = folder / "told it's all"
        self.cron = folder / "cron"
        self.home = stock.directory / "watch-memory"
        self.now = time.time()

    def play(self, *options: str, **variables: object) -> Run:
        """Run the role on this machine."""
        playbook = self.folder / "play.yml"
        tasks = [{"ansible.builtin.include_role": {"name": "synapse.tuning.monitoring"}}]
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
        given = {
            "project_dir": str(self.stock.directory),
            "docker_host": self.stock.engine.host,
            "alert_command": COMMAND.format(log=f'"{self.log}"'),
            "monitoring_cron_file": str(self.cron),
            "monitoring_prometheus_dir": str(self.folder),
            "monitoring_grafana_dir": str(self.folder),
            "monitoring_scrape_target": self.stock.metrics_url.removeprefix("http://"),
            "monitoring_thresholds": {"table_growth_mib": 1},
            **variables,
        }
        return ansible_playbook(
            playbook,
            *options,
            variables={
                "ansible_python_interpreter": sys.executable,
                **{f"synapse_tuning_{name}": value for name, value in given.items()},
            },
            environment=self.stock.engine.environment(),
        ).must_succeed()

    def begin(self) -> None:
        """Forget what was, and have had the containers up for longer than a start counts."""
        for path in (self.home / "state.json", self.stock.directory / "compress-state.prom"):
            path.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)
        self.now = time.time() + 4 * HOUR

    def check(self, hours: float) -> None:
        """Check, so many hours later, as cron does it."""
        self.now += hours * HOUR
        (line,) = [each for each in self.cron.read_text("utf-8").splitlines() if not each.startswith("#")]
        command = line.split(" root ", 1)[1].replace("\\%", "%")
        run = subprocess.run(
            ["/bin/sh", "-c", f"{command} --now {self.now}"],
            env={"PATH": "/usr/bin:/bin", "HOME": "/root", "SHELL": "/bin/sh"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")

    def told(self) -> list[str]:
        """What was told since this was asked last, but what others on this machine may have done."""
        lines = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in lines if " other " not in line and " host " not in line]


class Planted:
    """A process in Synapse's container that holds as many MiB as it is told; 0 for none."""

    def __init__(self, stock: Deployment) -> None:
        program = (
            "import sys\n"
            "held = []\n"
            "for line in sys.stdin:\n"
            "    del held[int(line):]\n"
            "    while len(held) < int(line): held.append(bytearray(b'x' * 2**20))\n"
            "    print(len(held), flush=True)\n"
        )
        self._process = subprocess.Popen(
            # Each MiB is given back when it is not held, as glibc maps what is large on its own.
            ["docker", "exec", "--interactive", stock.container("synapse"), "python3", "-c", program],
            env=stock.engine.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def hold(self, mib: int) -> bool:
        """Have it hold so much; whether it lives."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{mib}\n")
            self._process.stdin.flush()
        return self._process.stdout.readline() == f"{mib}\n"

    def end(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@contextlib.contextmanager
def _planted(stock: Deployment) -> Iterator[Planted]:
    process = Planted(stock)
    try:
        yield process
    finally:
        process.end()


@pytest.fixture(scope="module")
def watch(stock: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Watch:
    limit = f"{LIMIT}m"
    stock.engine.docker("update", "--memory", limit, "--memory-swap", limit, stock.container("synapse"))
    one = Watch(stock, tmp_path_factory.mktemp("monitoring"))
    checked = one.play("--check")
    assert checked.changed > 0 and not one.home.exists() and not one.cron.exists()
    assert one.play().changed == checked.changed
    return one


def test_a_leak_is_told_once_and_so_is_its_end(watch: Watch, stock: Deployment) -> None:
    watch.begin()
    with _planted(stock) as leak:
        for number in range(13):
            leak.hold(8 + 12 * number)
            watch.check(2)
        assert watch.told() == ["SynapseTuningMemoryLeak synapse firing"]
        watch.check(2)
        assert watch.told() == []
    watch.check(2)
    assert watch.told() == ["SynapseTuningMemoryLeak synapse resolved"]


def _use(user: Client, stop: threading.Event) -> None:
    """What clients do, as fast as they can."""
    room = user.create_room()
    since = None
    while not stop.is_set():
        for number in range(10):
            user.send(room, f"text {number}")
        since = user.sync(since)["next_batch"]
        user.call("GET", "/_matrix/client/v3/publicRooms")
        user.create_room()


def test_a_busy_server_that_is_well_tells_nothing(watch: Watch, stock: Deployment) -> None:
    watch.begin()
    stop = threading.Event()
    users = [threading.Thread(target=_use, args=(stock.register(f"busy{number}"), stop)) for number in range(2)]
    for each in users:
        each.start()
    try:
        with _planted(stock) as responses:
            for number in range(13):
                # What large answers take, more of it by day, and give back.
                responses.hold((40, 200, 110)[number % 3] + 10 * (number % 7))
                watch.check(2)
    finally:
        stop.set()
        for each in users:
            each.join()
    assert watch.told() == []
    held = json.loads((watch.home / "state.json").read_text("utf-8"))["held"]["synapse"]
    assert max(value for _at, value in held) - min(value for _at, value in held) > 100 * MIB


def test_memory_near_its_limit_and_an_oom_kill(watch: Watch, stock: Deployment) -> None:
    watch.begin()
    watch.check(0)
    held = json.loads((watch.home / "state.json").read_text("utf-8"))["now"]["synapse"]["held"]
    with _planted(stock) as greedy:
        assert greedy.hold(int(LIMIT * 0.94 - held / MIB))
        watch.check(0.1)
        assert watch.told() == []
        watch.check(0.2)
        assert watch.told() == ["SynapseTuningMemoryNearLimit synapse firing"]
        # It is the largest, so it is the one that is killed.
        assert not greedy.hold(2 * LIMIT)
    watch.check(0.2)
    watch.check(0.2)
    assert sorted(watch.told()) == [
        "SynapseTuningMemoryNearLimit synapse resolved",
        "SynapseTuningOomKill synapse firing",
    ]
    assert re.search(r'^synapse_tuning_oom_kills_total\{.*part="synapse"\} [1-9]', _status(watch), re.MULTILINE)
    watch.check(1.1)
    assert watch.told() == ["SynapseTuningOomKill synapse resolved"]


def _status(watch: Watch) -> str:
    return (watch.home / "status.prom").read_text("utf-8")


def _compressed(watch: Watch, *, days: float) -> None:
    """Have the compressor's status say that it ended well so many days ago."""
    values = {
        "start_timestamp_seconds": watch.now,
        "success_timestamp_seconds": watch.now - days * 24 * HOUR,
        "duration_seconds": 3,
        "saved_rows": 3,
    }
    lines = [f'synapse_tuning_compressor_last_{name}{{project="a"}} {value:.0f}\n' for name, value in values.items()]
    (watch.stock.directory / "compress-state.prom").write_text("".join(lines), encoding="utf-8")


def test_a_table_that_grows_and_a_compressor_that_does_not_run(watch: Watch, stock: Deployment) -> None:
    watch.begin()
    for hours in (0, 6, 6, 6, 6):
        stock.sql(
            "INSERT INTO state_groups_state (state_group, room_id, type, state_key, event_id)"
            " SELECT 1000000 + n, '!a:localhost', 'm.room.member', '@user' || n || ':localhost', '$event' || n"
            f" FROM generate_series({watch.now:.0f}, {watch.now:.0f} + 6000) AS n"
        )
        watch.check(hours)
    assert watch.told() == ["SynapseTuningStateTableGrowth postgresql firing"]
    _compressed(watch, days=16)
    watch.check(0.1)
    assert watch.told() == ["SynapseTuningCompressorNotRun compressor firing"]


def test_a_container_that_is_gone(watch: Watch, stock: Deployment) -> None:
    watch.begin()
    stock.compose("stop", "--timeout", "2", "db")
    try:
        watch.check(0)
        watch.check(0.2)
        assert watch.told() == ["SynapseTuningNotSeen postgresql firing"]
        assert 'synapse_tuning_source_up{project="' in _status(watch)
    finally:
        stock.compose("start", "db")
        stock.wait()


# --- with a real Prometheus -----------------------------------------------------------------------


class _Textfiles(http.server.BaseHTTPRequestHandler):
    """What node_exporter's textfile collector gives: the check's status, and the compressor's."""

    files: tuple[pathlib.Path, ...] = ()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        for path in self.files:
            self.wfile.write(path.read_bytes())

    def log_message(self, *_arguments: object) -> None:
        pass


class Prometheus:
    """A server on this machine; its API."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str, **query: str) -> Any:
        """What it answers; raises OSError where it is an error."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self._url}/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success"
        return found["data"]

    def values(self, expression: str) -> list[Any]:
        """What an expression gives now."""
        return list(self.get("query", query=expression)["result"])

    def must_give(self, expressions: Iterable[str]) -> None:
        """Raises TimeoutError where one gives nothing; for a moment that is so where a server is slow to be scraped."""
        for each in sorted(expressions):
            wait_until(lambda each=each: self.values(each), seconds=20, what=f"{each} gives something")


@pytest.fixture(scope="module")
def prometheus(watch: Watch, stock: Deployment) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    if program is None:
        # What cannot be tested in CI is a failure there.
        if os.environ.get("CI") == "true":
            pytest.fail("Prometheus is needed in CI: install Debian's package prometheus")
        pytest.skip("NO PROMETHEUS, so no query was tried: install Debian's package prometheus")
    watch.begin()
    watch.now = time.time()
    _compressed(watch, days=1)
    watch.check(0)
    _Textfiles.files = (watch.home / "status.prom", stock.directory / "compress-state.prom")
    port, textfiles = free_ports(2)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", textfiles), _Textfiles)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # As Prometheus 2.42 takes it, which knows no scrape_config_files.
    scraped = yaml.safe_load((watch.folder / "synapse-tuning.scrape.yml").read_text("utf-8"))["scrape_configs"]
    scraped.append({"job_name": "node", "static_configs": [{"targets": [f"127.0.0.1:{textfiles}"]}]})
    configuration = {
        "global": {"scrape_interval": "3s", "evaluation_interval": "1s"},
        "rule_files": ["synapse-tuning.rules.yml"],
        "scrape_configs": scraped,
    }
    path = watch.folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    subprocess.run(["promtool", "check", "config", str(path)], check=True, capture_output=True)
    command = [
        program,
        f"--config.file={path}",
        f"--storage.tsdb.path={watch.folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (
        (watch.folder / "prometheus.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            one = Prometheus(port)
            # The database was gone for a test: Synapse's connections to it fail once before they are made anew.
            names = itertools.count()
            user = wait_until(lambda: stock.register(f"asks{next(names)}"), seconds=60, what="Synapse has its database")
            wait_until(
                # Somebody has to ask for what is in caches.
                lambda: (
                    user.sync()
                    and one.values("synapse_tuning:cache_lookups:rate30m > 0")
                    and one.values("synapse_tuning:memory_floor:bytes6h")
                ),
                seconds=60,
                what="Prometheus has scraped and evaluated",
            )
            yield one
        finally:
            process.terminate()
            server.shutdown()
            server.server_close()


def test_every_query_of_the_dashboard_gives_something(watch: Watch, prometheus: Prometheus) -> None:
    dashboard = json.loads((watch.folder / "synapse-tuning.json").read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(queries) > 20
    prometheus.must_give(each.replace("$project", ".+").replace("$instance", ".+") for each in queries)
    for variable in dashboard["templating"]["list"][1:]:
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
        assert prometheus.get(f"label/{label}/values", **{"match[]": metric})
    for annotation in dashboard["annotations"]["list"]:
        prometheus.values(annotation["expr"])


def test_the_rules_are_well_and_every_metric_in_them_is_there(prometheus: Prometheus) -> None:
    (group,) = prometheus.get("rules")["groups"]
    assert {(rule["health"], rule.get("state", "inactive")) for rule in group["rules"]} == {("ok", "inactive")}
    names = {name for rule in group["rules"] for name in re.findall(r"\bsynapse_(?:tuning|util)[\w:]+", rule["query"])}
    assert len(names) > 12
    prometheus.must_give(names)


def test_nothing_is_left(watch: Watch) -> None:
    assert watch.play("--check", monitoring_state="absent").changed > 0
    assert watch.home.exists() and watch.cron.exists()
    watch.play(monitoring_state="absent")
    assert not watch.home.exists() and not watch.cron.exists()
    assert list(watch.folder.glob("synapse-tuning*")) == []
