# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""effective_info against a running Synapse and PostgreSQL: stock, tuned, and deployments that lie."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import deployment
import play
import pytest
from client import wait_until
from deployment import SYNAPSE_ID, Deployment
from engine import Engine

pytestmark = pytest.mark.slow

FACTOR = "homeserver.caches.global_factor"
AUTOTUNING = "homeserver.caches.cache_autotuning.max_cache_memory_usage"
DEAD = "compose.synapse.environment.SYNAPSE_CACHE_FACTOR"


class Result(NamedTuple):
    """What the module returned, whether it failed, and all that Ansible printed."""

    answer: dict[str, Any]
    failed: bool
    output: str

    def lever(self, name: str) -> dict[str, Any]:
        (found,) = [each for each in self.answer["levers"] if each["lever"] == name]
        return dict(found)

    def bad(self) -> dict[str, tuple[str, str]]:
        return {each["lever"]: (each["state"], each["because"]) for each in self.answer["levers"] if not each["ok"]}


def effective(project: Deployment, planned: Mapping[str, Any], *options: str, **arguments: Any) -> Result:
    """Run the module by Ansible. A password gets there by a variable, not by a command line."""
    variables = {"ansible_python_interpreter": sys.executable, "password": arguments.get("login_password")}
    if "login_password" in arguments:
        arguments["login_password"] = "{{ password }}"
    given = {
        "plan": planned,
        "project_dir": str(project.directory),
        **arguments,
    }
    folder = project.directory.parent / "ad-hoc"
    folder.mkdir(exist_ok=True)
    (folder / "variables.json").write_text(json.dumps(variables), encoding="utf-8")
    run = subprocess.run(
        [
            *("ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "synapse.tuning.effective_info"),
            *("-a", json.dumps(given), "--tree", str(folder), "-e", f"@{folder / 'variables.json'}", *options),
        ],
        env={**play.environment(project), "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    text = (folder / "localhost").read_text(encoding="utf-8")
    return Result(json.loads(text), run.returncode != 0, run.stdout + run.stderr + text)


def planned_here(**inputs: Any) -> dict[str, Any]:
    """A plan with another factor than Synapse's own, which tells what is in effect from what is not."""
    planned = play.make_plan(**inputs)
    planned["homeserver"][FACTOR.partition(".")[2]]["value"] = 0.2
    planned["compose"]["synapse"]["environment"]["SYNAPSE_CACHE_FACTOR"]["value"] = "0.2"
    return planned


def use(project: Deployment) -> None:
    """Have Synapse start anew, as its database may have, and use its caches."""
    project.compose("restart", "synapse")
    project.wait()
    user = project.register(f"user{time.time_ns()}")
    user.send(user.create_room(), "text")


def edit(project: Deployment, name: str, old: str, new: str) -> None:
    path = project.directory / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def _give_to_synapse(path: pathlib.Path) -> None:
    os.chown(path, SYNAPSE_ID, SYNAPSE_ID)


# --- as it comes -------------------------------------------------------------------------------


def test_a_stock_deployment_differs(stock: Deployment) -> None:
    use(stock)
    found = effective(stock, planned_here())
    assert found.answer["changed"] is False and found.answer["ok"] is False
    expected = {
        FACTOR: 0.5,
        "homeserver.database.args.cp_max": 10,
        "homeserver.limit_remote_rooms.enabled": None,
        "compose.synapse.memory_limit": None,
        "compose.postgresql.shm_size": "64m",
        "postgresql.shared_buffers": "128MB",
        "postgresql.max_connections": "100",
    }
    for lever, value in expected.items():
        each = found.lever(lever)
        assert (each["state"], each["effective"]) == ("not_applied", value), each
    # The event cache has its planned base; the metrics show it times the stock factor.
    assert found.lever("homeserver.event_cache_size")["state"] == "in_effect"
    assert found.answer["summary"]["unknown"] == 0
    # The metrics were asked for inside the container; by the port on the host they are the same.
    outside = effective(stock, planned_here(), metrics_url=f"{stock.metrics_url}/_synapse/metrics")
    assert outside.answer["levers"] == found.answer["levers"]
    assert found.answer["versions"]["synapse"]["agrees"] and found.answer["versions"]["postgresql"]["agrees"]
    secrets = [stock.settings["POSTGRES_PASSWORD"], "registration_shared_secret"]
    assert [each for each in secrets if each in found.output] == []


def test_check_mode_says_the_same(stock: Deployment) -> None:
    assert (
        effective(stock, planned_here(), "--check").answer["levers"]
        == effective(stock, planned_here()).answer["levers"]
    )


def test_it_fails_where_asked_to_and_names_the_levers(stock: Deployment) -> None:
    found = effective(stock, planned_here(), fail_on_difference=True)
    assert found.failed
    assert f"{FACTOR} (0.5, planned 0.2) not_applied" in found.answer["msg"]
    assert found.answer["levers"]


def test_what_cannot_be_asked_is_unknown(stock: Deployment, tmp_path: pathlib.Path) -> None:
    nobody = {"docker_host": f"unix://{tmp_path}/none.sock", "metrics_url": "http://127.0.0.1:9/_synapse/metrics"}
    found = effective(stock, planned_here(), **nobody, cron_file=str(tmp_path), fail_on_difference=True)
    assert not found.failed
    assert found.answer["summary"]["unknown"] == len(found.answer["levers"])
    assert "the Docker Engine does not answer" in found.lever("postgresql.shared_buffers")["because"]
    assert "gives no metrics" in found.lever(FACTOR)["because"]


def test_a_login_reads_what_the_container_does(stock: Deployment) -> None:
    (address,) = [each["IPAddress"] for each in stock.inspect("db")["NetworkSettings"]["Networks"].values()]
    login = {"login_host": address, "login_user": "synapse", "login_db": "synapse"}
    password = stock.settings["POSTGRES_PASSWORD"]
    inside = effective(stock, planned_here())
    outside = effective(stock, planned_here(), **login, login_password=password)

    def parameters(found: Result) -> list[Any]:
        return [each for each in found.answer["levers"] if each["lever"].startswith("postgresql.")]

    assert parameters(inside) == parameters(outside)
    assert {each["state"] for each in parameters(outside)} == {"in_effect", "not_applied"}
    assert password not in outside.output
    refused = effective(stock, planned_here(), **login, login_password="wrong-and-secret")
    assert {each["state"] for each in parameters(refused)} == {"unknown"}
    assert "password authentication failed" in parameters(refused)[0]["because"]
    assert "wrong-and-secret" not in refused.output


# --- tuned -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tuned(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, dict[str, Any]]]:
    """A stock deployment that became the planned one, with autotuning, and its plan."""
    project = deployment.create(engine, tmp_path_factory.mktemp("tuned") / "tuned")
    planned = planned_here(cache_autotuning="on")
    try:
        project.up()
        play.tune(project, planned, apply=False).must_succeed()
        yield project, planned
    finally:
        project.remove()


def test_files_that_were_written_wait_for_the_restart(tuned: tuple[Deployment, dict[str, Any]]) -> None:
    project, planned = tuned
    found = effective(project, planned)
    for lever in (
        "compose.synapse.memory_limit",
        "compose.postgresql.shm_size",
        "postgresql.shared_buffers",
        "homeserver.database.args.cp_max",
        "compose.synapse.environment.PYTHONMALLOC",
        AUTOTUNING,
        FACTOR,
    ):
        assert found.lever(lever)["state"] == "pending_restart", found.lever(lever)


def test_after_the_restart_every_lever_is_in_effect(tuned: tuple[Deployment, dict[str, Any]]) -> None:
    project, planned = tuned
    project.up()
    use(project)
    found = effective(project, planned, cron_file=str(project.directory.with_suffix(".cron")), fail_on_difference=True)
    assert found.bad() == {}
    assert found.answer["ok"] is True and not found.failed
    dead = found.lever(DEAD)
    assert (dead["state"], dead["effective"]) == ("without_effect", "0.2")
    compared = found.lever(FACTOR)["because"]
    assert int(compared.split()[0]) > 20, compared
    assert found.lever("compose.postgresql.shm_size")["because"].endswith(", the same inside")


# --- lies, on the tuned deployment; each is taken back ------------------------------------------


@pytest.fixture
def liar(tuned: tuple[Deployment, dict[str, Any]]) -> Iterator[tuple[Deployment, dict[str, Any]]]:
    """The tuned deployment, brought back to its plan afterwards."""
    project, planned = tuned
    names = ("compose.yml", "data/homeserver.yaml")
    before = {name: (project.directory / name).read_text(encoding="utf-8") for name in names}
    project.up()
    yield project, planned
    for name, text in before.items():
        (project.directory / name).write_text(text, encoding="utf-8")
    for added in ("compose.override.yml", "data/last.yaml"):
        (project.directory / added).unlink(missing_ok=True)
    project.up(wait=False)
    project.compose("restart", "synapse")
    project.wait()


def test_an_environment_factor_without_a_configuration(liar: tuple[Deployment, dict[str, Any]]) -> None:
    project, planned = liar
    edit(project, "data/homeserver.yaml", "global_factor", "not_a_factor")
    use(project)
    found = effective(project, planned)
    assert set(found.bad()) == {FACTOR}, found.bad()
    factor = found.lever(FACTOR)
    assert (factor["state"], factor["effective"]) == ("not_applied", 0.5)
    assert "SYNAPSE_CACHE_FACTOR=0.2 is set, but has no effect" in factor["because"]
    assert found.lever(DEAD)["ok"]


def test_a_drop_in_that_replaces_the_section(liar: tuple[Deployment, dict[str, Any]]) -> None:
    project, planned = liar
    late = project.directory / "data" / "last.yaml"
    late.write_text("caches: {expire_caches: true}\n", encoding="utf-8")
    _give_to_synapse(late)
    paths = ["--config-path", "/data/homeserver.yaml", "--config-path", "/data/last.yaml"]
    override = {"services": {"synapse": {"command": ["run", *paths]}}}
    (project.directory / "compose.override.yml").write_text(json.dumps(override), encoding="utf-8")
    project.up()
    use(project)
    found = effective(project, planned)
    state, because = found.bad()[FACTOR]
    assert state == "overridden"
    assert "by /data/last.yaml, whose section 'caches' replaces that of /data/homeserver.yaml" in because
    assert found.bad()[AUTOTUNING][0] == "overridden"
    assert all(lever.startswith("homeserver.caches.") for lever in found.bad())


def test_a_limit_in_an_override_file(liar: tuple[Deployment, dict[str, Any]]) -> None:
    project, planned = liar
    limits = {"deploy": {"resources": {"limits": {"memory": "300M"}}}}
    override = {"services": {"db": {**limits, "shm_size": "32m"}}}
    (project.directory / "compose.override.yml").write_text(json.dumps(override), encoding="utf-8")
    project.up()
    use(project)
    found = effective(project, planned)
    assert {lever: state for lever, (state, _because) in found.bad().items()} == {
        "compose.postgresql.memory_limit": "overridden",
        "compose.postgresql.shm_size": "overridden",
    }
    because = found.bad()["compose.postgresql.shm_size"][1]
    assert f"by {project.directory / 'compose.override.yml'}, which says 32m" in because
    assert "below shared_buffers, which is 64MB" in because


def test_a_flag_on_the_command_line_against_alter_system(liar: tuple[Deployment, dict[str, Any]]) -> None:
    project, planned = liar
    edit(project, "compose.yml", "shared_buffers=64MB", "shared_buffers=96MB")
    project.up()
    use(project)
    project.sql("ALTER SYSTEM SET shared_buffers = '64MB'")
    try:
        project.sql("SELECT pg_reload_conf()")
        found = effective(project, planned)
        shared_buffers = found.lever("postgresql.shared_buffers")
        assert (shared_buffers["state"], shared_buffers["effective"]) == ("overridden", "96MB")
        assert "command line" in shared_buffers["because"]
        assert "postgresql.auto.conf" in shared_buffers["because"]
        assert set(found.bad()) == {"postgresql.shared_buffers"}
    finally:
        project.sql("ALTER SYSTEM RESET shared_buffers")


def test_autotuning_without_pythonmalloc(liar: tuple[Deployment, dict[str, Any]]) -> None:
    project, planned = liar
    edit(project, "compose.yml", "PYTHONMALLOC", "NO_PYTHONMALLOC")
    project.up()
    use(project)
    found = effective(project, planned)
    keys = ("max_cache_memory_usage", "target_cache_memory_usage", "min_cache_ttl")
    for key in keys:
        lever = found.lever(f"homeserver.caches.cache_autotuning.{key}")
        assert lever["state"] == "without_effect", lever
        assert "PYTHONMALLOC=malloc is not in its environment" in lever["because"]
    assert found.lever("compose.synapse.environment.PYTHONMALLOC")["state"] == "not_applied"
    assert len(found.bad()) == len(keys) + 1


def test_what_was_not_reloaded_is_told_from_what_was(liar: tuple[Deployment, dict[str, Any]]) -> None:
    project, _planned = liar
    use(project)
    changed = planned_here(cache_autotuning="on")
    changed["homeserver"][FACTOR.partition(".")[2]]["value"] = 0.4
    changed["homeserver"]["database.args.cp_max"]["value"] = 5
    play.tune(project, changed, apply=False).must_succeed()
    project.compose("kill", "--signal", "HUP", "synapse")
    wait_until(
        lambda: effective(project, changed).lever(FACTOR)["state"] == "in_effect", seconds=30, what="a new factor"
    )
    # The backup that the playbook made proves that the rest of the file is what Synapse had read.
    found = effective(project, changed)
    assert {lever: state for lever, (state, _because) in found.bad().items()} == {
        "homeserver.database.args.cp_max": "pending_restart"
    }
    assert found.lever("homeserver.database.args.cp_max")["effective"] == 4


def test_a_reload_is_seen(liar: tuple[Deployment, dict[str, Any]]) -> None:
    project, planned = liar
    use(project)
    edit(project, "data/homeserver.yaml", "global_factor: 0.2", "global_factor: 0.7")
    project.compose("kill", "--signal", "HUP", "synapse")
    wait_until(
        lambda: effective(project, planned).lever(FACTOR)["effective"] == 0.7, seconds=30, what="the factor is reloaded"
    )
    assert effective(project, planned).lever(FACTOR)["state"] == "not_applied"
