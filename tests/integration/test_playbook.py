# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook and its roles, run by the real ansible-playbook on new deployments and on somebody's own."""

from __future__ import annotations

import json
import re
import shutil
import stat
from pathlib import Path
from typing import Any, Optional

import pytest
import yaml
from running import PLAYBOOK, ROOT, Run, ansible_playbook, root_with_cron, tree, user_without_cron

FIXTURES = ROOT / "tests" / "fixtures" / "compose"

# What a self-hoster's homeserver.yaml has: comments to keep, odd spacing, secrets, a lever that differs.
HOMESERVER = """\
# Our server. Ask Ada before you change anything!
server_name: "example.org"
pid_file: /data/homeserver.pid

listeners:
  - port: 8008
    type: http
    resources:
      - names: [client, federation]   # no media

database:
  name: psycopg2
  args:
    user: synapse
    password: "Corr3ct-Horse"     # also in compose.yml
    database: synapse
    host: postgres
    cp_min: 5
    cp_max: 10

registration_shared_secret: "b4tt3ry-staple"
macaroon_secret_key: 'n3ver-show-me'

caches:
    global_factor: 2.0   # did it help? not sure
"""

SECRETS = (
    *("Corr3ct-Horse", "b4tt3ry-staple", "n3ver-show-me"),
    *("kX8-vault-me-please", "9c0ffee9c0ffee"),
)


def existing(folder: Path, compose: str = "traefik.yml", name: str = "docker-compose.yml") -> Path:
    """A project as somebody has it."""
    (folder / "data").mkdir(parents=True)
    shutil.copy(FIXTURES / compose, folder / name)
    homeserver = folder / "data" / "homeserver.yaml"
    homeserver.write_text(HOMESERVER, encoding="utf-8")
    homeserver.chmod(0o640)
    return folder


def tune(
    project: Optional[Path],
    *options: str,
    playbook: Path | str = PLAYBOOK,
    commands: Optional[Path] = None,
    cwd: Optional[Path] = None,
    environment: Optional[dict[str, str]] = None,
    **variables: Any,
) -> Run:
    """Run the playbook for five users and 2 GiB; it writes only, and never a cron of this machine."""
    given: dict[str, Any] = {"users": 5, "ram": "2G", "apply": False, **variables}
    if project is not None:
        given["project_dir"] = str(project)
        given["compressor_cron_file"] = str(project.with_suffix(".cron"))
        commands = commands or user_without_cron(project.parent / "bin")
    return ansible_playbook(
        playbook,
        *options,
        variables={f"synapse_tuning_{name}": value for name, value in given.items() if value is not None},
        commands=commands,
        environment=environment,
        cwd=cwd,
    )


def changes(run: Run) -> list[str]:
    """The lines that a diff takes away or adds; headings name temporary files."""
    return [line for line in run.stdout.splitlines() if re.match(r"[-+](?![-+ ]{2})", line)]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def section(run: Run, title: str) -> str:
    found = re.search(rf"^{re.escape(title)}.*?(?=\n\n|\nok: )", run.stdout, re.MULTILINE | re.DOTALL)
    assert found, run.stdout
    return found.group()


def test_a_new_deployment(tmp_path: Path) -> None:
    project = tmp_path / "synapse"
    commands = root_with_cron(tmp_path / "bin")
    wrapper = tmp_path / "wrapper.yml"
    wrapper.write_text(
        yaml.safe_dump(
            [
                {"import_playbook": "synapse.tuning.tune_synapse"},
                {
                    "hosts": "all",
                    "gather_facts": False,
                    "tasks": [
                        {
                            "ansible.builtin.assert": {
                                "that": "lookup('ansible.builtin.file', synapse_tuning_project_dir ~ '/plan.json')"
                                " | from_json == synapse_tuning_plan"
                            }
                        }
                    ],
                },
            ]
        ),
        encoding="utf-8",
    )

    check = tune(project, "--check", "--diff", commands=commands, create="true").must_succeed()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("synapse")] == []
    assert "would create" in check.stdout
    assert "would be installed" in section(check, "STATE COMPRESSOR")

    first = tune(project, playbook=wrapper, commands=commands, create="true", server_name="example.org").must_succeed()
    before = tree(project)
    assert {"compose.yml", "data/homeserver.yaml", "plan.json", "compress-state.sh"} <= set(before)
    assert (tmp_path / "synapse.cron").exists()
    assert mode(project / "secrets" / "postgres_password") == 0o600
    assert {mode(path) for path in (project / "data" / "secrets").iterdir()} == {0o600}
    assert mode(project / "data" / "signing.key") == 0o600
    assert mode(project / "plan.json") == 0o644
    compose = yaml.safe_load((project / "compose.yml").read_text(encoding="utf-8"))
    assert compose["services"]["db"]["shm_size"] == "256m"
    assert "shared_buffers=64MB" in str(compose["services"]["db"]["command"])
    homeserver = yaml.safe_load((project / "data" / "homeserver.yaml").read_text(encoding="utf-8"))
    assert homeserver["caches"]["global_factor"] == 0.5
    assert "docker compose up -d" in section(first, "START: nothing has been started")
    assert "installed" in section(first, "STATE COMPRESSOR")
    for secret in [*(project / "data" / "secrets").iterdir(), project / "secrets" / "postgres_password"]:
        assert secret.read_text(encoding="utf-8").strip().rsplit(":", 1)[-1] not in first.output

    second = tune(project, "--diff", commands=commands, create="true").must_succeed()
    assert second.changed == 0
    assert changes(second) == []
    assert tree(project) == before
    assert "not needed" in section(second, "RESTART")


def test_an_existing_deployment_in_place(tmp_path: Path) -> None:
    project = existing(tmp_path / "synapse")
    before = tree(project)

    check = tune(project, "--check", "--diff", users="40").must_succeed()
    assert tree(project) == before

    cache = tmp_path / "facts"
    first = tune(
        project,
        "--diff",
        "-vvv",
        users="40",
        environment={"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(cache)},
    ).must_succeed()
    assert changes(first) == changes(check)
    assert changes(check)
    assert first.changed == check.changed == 3

    after = tree(project)
    for name in ("docker-compose.yml", "data/homeserver.yaml"):
        backups = [path for path in after if path.startswith(name) and path.endswith(".bak")]
        assert [after[path] for path in backups] == [before[name]]
        assert after[name][0] == before[name][0]
        assert after[name][1] != before[name][1]
        kept = before[name][1].decode().splitlines()
        assert len([line for line in after[name][1].decode().splitlines() if line in kept]) >= len(kept) - 5
    assert json.loads(after["plan.json"][1])["host"]["users"] == 40

    report = section(check, "PLAN: ")
    assert re.search(r"^\* +SYNAPSE_CACHE_FACTOR +2\.0 +0\.5 ", report, re.MULTILINE)
    assert re.search(r"^\* +caches\.global_factor +2\.0 +0\.5 ", report, re.MULTILINE)
    restart = section(first, "RESTART: nothing has been restarted")
    assert re.search(r"^postgres +recreate ", restart, re.MULTILINE)
    assert re.search(r"^synapse +recreate .*caches\.\s*global_factor", restart, re.MULTILINE | re.DOTALL)
    assert f"cd {project}\n" in restart
    assert "skipped: only root can install it" in section(first, "STATE COMPRESSOR")

    said = check.output + first.output + "".join(path.read_text("utf-8") for path in cache.glob("*"))
    assert [secret for secret in SECRETS if secret in said] == []

    second = tune(project, users="40").must_succeed()
    assert second.changed == 0
    assert tree(project) == after


@pytest.mark.slow
def test_an_existing_deployment_by_override(tmp_path: Path) -> None:
    project = existing(tmp_path / "synapse")
    before = tree(project)
    check = tune(project, "--check", "--diff", mode="override").must_succeed()
    assert tree(project) == before
    first = tune(project, "--diff", mode="override").must_succeed()
    assert changes(first) == changes(check)
    after = tree(project)
    assert {name: after[name] for name in before} == before
    new = set(after) - set(before)
    assert {"plan.json", "data/homeserver.tuning.yaml"} <= new
    override = [name for name in new if "compose" in name and not name.endswith(".absent")]
    assert len(override) == 1
    assert yaml.safe_load(after[override[0]][1])["services"]["postgres"]["shm_size"] == "256m"
    dropin = yaml.safe_load(after["data/homeserver.tuning.yaml"][1])
    assert dropin["caches"]["global_factor"] == 0.5
    assert dropin["database"]["args"]["cp_max"] == 4
    assert [secret for secret in SECRETS if secret in check.output + first.output] == []
    assert tune(project, mode="override").must_succeed().changed == 0
    assert tree(project) == after


@pytest.mark.slow
def test_services_with_names_and_images_of_their_own(tmp_path: Path) -> None:
    """And the variables as the command line gives them, all text."""
    project = existing(tmp_path / "synapse", "plain_multiline.yml", "compose.yaml")
    services = yaml.safe_load((project / "compose.yaml").read_text(encoding="utf-8"))["services"]
    synapse = next(name for name, service in services.items() if "synapse" in service.get("image", ""))
    text = (project / "compose.yaml").read_text(encoding="utf-8")
    (project / "compose.yaml").write_text(text.replace(f"  {synapse}:", "  homeserver:"), encoding="utf-8")
    assert tune(project).returncode != 0
    words = "synapse_tuning_synapse_service=homeserver synapse_tuning_backups=1 synapse_tuning_create=false"
    run = tune(project, "-e", words, playbook="synapse.tuning.tune_synapse", cwd=tmp_path).must_succeed()
    assert re.search(r"^homeserver +recreate ", section(run, "RESTART"), re.MULTILINE)
    # The command line's texts are numbers and switches where that is what is meant.
    assert len(list(project.glob("compose.yaml.*.bak"))) == 1


def test_a_database_host_has_no_homeserver(tmp_path: Path) -> None:
    project = existing(tmp_path / "synapse")
    (project / "data" / "homeserver.yaml").unlink()
    run = tune(project, topology="dedicated_database").must_succeed()
    assert "shared_buffers" in section(run, "PLAN: ")
    assert "global_factor" not in run.stdout


@pytest.mark.parametrize("how", ["copy", "link", "name"])
def test_from_somebody_elses_repository(tmp_path: Path, how: str) -> None:
    """Without this checkout's ansible.cfg, roles or inventory."""
    repository = tmp_path / "infra"
    repository.mkdir()
    playbook: Path | str = repository / "tune-synapse.yml"
    if how == "copy":
        shutil.copy(PLAYBOOK, playbook)
    elif how == "link":
        Path(playbook).symlink_to(PLAYBOOK)
    else:
        playbook = "synapse.tuning.tune_synapse"
    (repository / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
    run = tune(
        None,
        "--list-tasks",
        playbook=playbook,
        cwd=repository,
        environment={"ANSIBLE_CONFIG": str(repository / "ansible.cfg")},
    ).must_succeed()
    for task in ("Make the plan", "Fit the compose file to the plan", "Fit homeserver.yaml to the plan", "Report"):
        assert task in run.stdout


def alone(folder: Path, role: str, *, with_plan: bool = True) -> Path:
    """Somebody's own playbook with one of the roles."""
    tasks: list[dict[str, Any]] = [{"ansible.builtin.import_role": {"name": f"synapse.tuning.{role}"}}]
    if with_plan:
        tasks[0]["vars"] = {"synapse_tuning_plan": "{{ planned.plan }}"}
        tasks.insert(0, {"synapse.tuning.plan_info": {"users": 5, "ram": "2G"}, "register": "planned"})
    path = folder / f"{role}.yml"
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("role", "makes"),
    [
        ("deployment", {"compose.yml", "data/homeserver.yaml"}),
        ("compose", {"docker-compose.yml"}),
        ("homeserver", {"data/homeserver.yaml"}),
    ],
)
def test_a_role_alone(tmp_path: Path, role: str, makes: set[str]) -> None:
    project = tmp_path / "synapse"
    if role != "deployment":
        existing(project)
    before = tree(project)
    run = tune(project, playbook=alone(tmp_path, role), users=None, ram=None).must_succeed()
    assert run.changed == 1
    after = tree(project)
    changed = {name for name in after if after[name] != before.get(name) and not name.endswith(".bak")}
    assert makes <= changed
    assert role == "deployment" or makes == changed


def test_the_role_plan_alone_sets_the_fact(tmp_path: Path) -> None:
    playbook = alone(tmp_path, "plan", with_plan=False)
    with playbook.open("a", encoding="utf-8") as file:
        file.write("  - ansible.builtin.debug:\n      var: synapse_tuning_plan.host.users\n")
    run = tune(None, playbook=playbook, users="7").must_succeed()
    assert re.search(r'"synapse_tuning_plan.host.users": "?7"?$', run.stdout, re.MULTILINE)


@pytest.mark.parametrize("role", ["deployment", "compose", "homeserver"])
def test_a_role_without_a_plan(tmp_path: Path, role: str) -> None:
    run = tune(tmp_path / "synapse", playbook=alone(tmp_path, role, with_plan=False))
    assert run.returncode != 0
    assert run.message == "Set synapse_tuning_plan to the plan that synapse.tuning.plan_info returns"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"users": 0}, "users is 0: it must be at least 1"),
        ({"users": "-1"}, "users is -1: it must be at least 1"),
        ({"users": "many"}, "synapse_tuning_users is many: set it to a whole number, at least 1"),
        ({"users": None}, "Set synapse_tuning_users to the number of people who use this server"),
        ({"ram": "lots"}, "ram is 'lots': write a size such as 2G or 1536M"),
        ({"ram": "64M"}, "RAM"),
        ({"per_cache_factors": {"get_event_cache": 0.3}}, "get_event_cache"),
        ({"synapse_service": "nobody"}, "nobody"),
        ({"homeserver_path": "/nonexistent/homeserver.yaml"}, "/nonexistent/homeserver.yaml"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(tmp_path: Path, variables: dict[str, Any], says: str) -> None:
    project = existing(tmp_path / "synapse")
    before = tree(project)
    run = tune(project, **variables)
    assert run.returncode != 0
    assert says in run.message
    assert "\n" not in run.message
    assert tree(project) == before


def test_a_missing_project_directory_is_one_line() -> None:
    run = tune(None)
    assert run.returncode != 0
    assert run.message.startswith("Set synapse_tuning_project_dir to the directory of the compose project")
    assert "\n" not in run.message


@pytest.mark.parametrize(
    ("name", "how"),
    [("docker-compose.yml", "in_place"), ("data/homeserver.yaml", "in_place"), ("data/homeserver.yaml", "override")],
)
def test_a_broken_file_is_named_with_line_and_column(tmp_path: Path, name: str, how: str) -> None:
    """And the other file, which was fine, is not changed either."""
    project = existing(tmp_path / "synapse")
    broken = project / name
    broken.write_text(broken.read_text(encoding="utf-8") + "\nkey: [1,\n", encoding="utf-8")
    before = tree(project)
    run = tune(project, mode=how)
    assert run.returncode != 0
    assert re.search(rf"{re.escape(str(broken))}:\d+:\d+: ", run.message)
    assert "\n" not in run.message
    assert tree(project) == before


@pytest.mark.slow
def test_several_hosts(tmp_path: Path) -> None:
    """Each has a plan, files and a report of its own."""
    users = {"small": 3, "large": 120}
    for host in users:
        existing(tmp_path / host)
    inventory = tmp_path / "hosts.yml"
    hosts = {
        host: {
            "ansible_connection": "local",
            "synapse_tuning_users": number,
            "synapse_tuning_project_dir": str(tmp_path / host),
        }
        for host, number in users.items()
    }
    inventory.write_text(yaml.safe_dump({"matrix": {"hosts": hosts}}), encoding="utf-8")
    run = tune(
        None,
        *("-i", str(inventory)),
        commands=user_without_cron(tmp_path / "bin"),
        hosts="matrix",
        users=None,
        ram="8G",
    ).must_succeed()
    for host, number in users.items():
        assert f"synapse.tuning: {host}\n" in run.stdout
        plan = json.loads((tmp_path / host / "plan.json").read_text(encoding="utf-8"))
        assert plan["host"]["users"] == number


@pytest.mark.slow
def test_a_plan_that_learns_from_a_file(tmp_path: Path) -> None:
    """A file that stays gives the same plan again; one that can't be read stops before anything is written."""
    project = existing(tmp_path / "synapse")
    before = tree(project)
    path = tmp_path / "measurement.json"
    missing = tune(project, measurement_path=str(path))
    assert missing.returncode != 0
    assert "cannot be read (No such file or directory): measure the server first" in missing.message
    path.write_text('{"schema_version": 1}', encoding="utf-8")
    wrong = tune(project, measurement_path=str(path))
    assert wrong.returncode != 0
    assert str(path) in wrong.message and "\n" not in wrong.message
    assert tree(project) == before

    measurement = json.loads((ROOT / "tests" / "fixtures" / "measurement" / "stock.json").read_text("utf-8"))
    path.write_text(json.dumps(measurement), encoding="utf-8")
    first = tune(project, measurement_path=str(path)).must_succeed()
    learned = section(first, "LEARNED from the measurement of 2026-11-28T16:40:00Z")
    assert re.search(r"^work_mem +4MB +8MB +4800 temporary files in 2 days", learned, re.MULTILINE)
    assert json.loads((project / "plan.json").read_text(encoding="utf-8"))["postgresql"]["work_mem"]["value"] == "8MB"
    assert "work_mem=8MB" in (project / "docker-compose.yml").read_text(encoding="utf-8")
    after = tree(project)
    assert tune(project, measurement_path=str(path)).must_succeed().changed == 0
    # The same as a value, which wins over a path.
    value = tune(project, measured=measurement, measurement_path="/nowhere").must_succeed()
    assert value.changed == 0
    assert tree(project) == after
