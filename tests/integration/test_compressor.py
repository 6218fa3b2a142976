# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role compressor: the job that it installs, and the script, run with a docker that records what it is asked."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
import yaml
from running import ROOT, Run, ansible_playbook, command, root_with_cron, tree, user_without_cron

from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.plan import make_plan

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("flock") is None, reason="the script needs flock of util-linux"),
]

ROLE_ALONE = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Plan
      synapse.tuning.plan_info:
        users: 5
        ram: 2G
        topology: "{{ topology | default('shared') }}"
      register: planned
    - name: Run the role
      ansible.builtin.import_role:
        name: synapse.tuning.compressor
      vars:
        synapse_tuning_plan: "{{ planned.plan }}"
    - name: Show what it says
      ansible.builtin.debug:
        msg: "state={{ synapse_tuning_compressor_result.state }}"
"""

PASSWORD = r"it's hunter\2 %40:"

# Answers as docker would for a project whose service db runs as container c0ffee.
DOCKER = r"""
printf '%s\n' "$*" >>"$RECORD"
case "$*" in
    "compose "*" db") echo c0ffee; echo another ;;
    "exec c0ffee printenv POSTGRES_USER") [ -n "${DB_USER-}" ] && echo "$DB_USER" ;;
    "exec c0ffee printenv POSTGRES_USER_FILE") [ -n "${DB_USER_FILE-}" ] && echo "$DB_USER_FILE" ;;
    "exec c0ffee cat "*) echo from_file ;;
    "exec c0ffee printenv POSTGRES_DB") [ -n "${DB_NAME-}" ] && echo "$DB_NAME" ;;
    "exec "*) exit 1 ;;
    "run "*)
        cat >"$RECORD.stdin"
        echo "Failed to connect to database at $(cat "$RECORD.stdin")"
        echo "Finished running compressor. Saved 477 rows. Skipped 0/1 chunks"
        sleep "${RUN_TAKES-0}"; exit "${RUN_EXITS-0}"
        ;;
esac
"""


@pytest.fixture(scope="module")
def role_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("playbook") / "compressor.yml"
    path.write_text(ROLE_ALONE, encoding="utf-8")
    return path


def install(
    playbook: Path,
    project: Path,
    *options: str,
    commands: Path,
    environment: dict[str, str] | None = None,
    **variables: object,
) -> Run:
    project.mkdir(exist_ok=True)
    return ansible_playbook(
        playbook,
        *options,
        commands=commands,
        environment=environment,
        variables={
            "synapse_tuning_project_dir": str(project),
            "synapse_tuning_compressor_cron_file": str(project / "cron"),
            **variables,
        },
    )


@pytest.fixture(scope="module")
def installed(role_alone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the job, in a folder whose name asks for quotes."""
    base = tmp_path_factory.mktemp("installed")
    project = base / "it's 100% synapse"
    run = install(role_alone, project, commands=root_with_cron(base / "bin"), synapse_tuning_compressor_time_limit="2s")
    assert run.must_succeed().changed == 2
    assert "state=installed" in run.stdout
    return project


@pytest.fixture(scope="module")
def with_wheel(role_alone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the wheel's runtime, whose package index is a folder with a wheel of no content."""
    base = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(base / "synapse_auto_compressor-0.1.2-py3-none-any.whl", "w") as wheel:
        information = "synapse_auto_compressor-0.1.2.dist-info"
        wheel.writestr(
            f"{information}/METADATA", "Metadata-Version: 2.1\nName: synapse-auto-compressor\nVersion: 0.1.2\n"
        )
        wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{information}/RECORD", "")
    commands = root_with_cron(base / "bin")
    command(commands, "uname", "echo x86_64")
    settings = {"synapse_tuning_compressor_runtime": "wheel", "synapse_tuning_compressor_log": ""}
    environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(base)}
    for option in ("--check", "--diff"):
        run = install(role_alone, base / "synapse", option, commands=commands, environment=environment, **settings)
        assert run.must_succeed().changed == 4
        assert (tree(base / "synapse") == {}) == (option == "--check")
    return base / "synapse"


@pytest.fixture(scope="module")
def with_password(role_alone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose database is elsewhere and asks for a password."""
    base = tmp_path_factory.mktemp("password")
    run = install(
        role_alone,
        base / "synapse",
        *("--diff", "-vvv"),
        commands=root_with_cron(base / "bin"),
        synapse_tuning_compressor_db_host="db.example.org",
        synapse_tuning_compressor_db_user="compressor",
        synapse_tuning_compressor_db_name="synapse",
        synapse_tuning_compressor_db_password=PASSWORD,
        synapse_tuning_compressor_schedule="monthly",
    )
    assert run.must_succeed().changed == 3
    # Ansible says once which variables it was started with; that was this test.
    assert "hunter" not in run.output.partition("PLAY [")[2]
    return base / "synapse"


def copied(project: Path, target: Path) -> Path:
    """The script for a folder of the test's own."""
    text = (project / "compress-state.sh").read_text(encoding="utf-8")
    quoted = str(project).replace("'", "'\"'\"'")
    assert quoted in text
    script = target / "compress-state.sh"
    script.write_text(text.replace(quoted, str(target)), encoding="utf-8")
    for secret in project.glob("*.password"):
        shutil.copy(secret, target)
    script.chmod(0o755)
    return script


def start(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    folder = script.parent
    command(folder / "bin", "docker", DOCKER)
    command(folder / "bin", "logger", "exit 0")
    return subprocess.run(
        [str(script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "RECORD": str(folder / "asked"),
            **environment,
        },
    )


def where(script: Path) -> str:
    """What the compressor was told on its standard input."""
    return (script.parent / "asked.stdin").read_text(encoding="utf-8")


def asked(script: Path) -> list[str]:
    return (script.parent / "asked").read_text(encoding="utf-8").splitlines()


def status(script: Path) -> dict[str, float]:
    """The status file, by the end of each name."""
    lines = (script.parent / "compress-state.prom").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r'synapse_tuning_compressor_(\w+)\{project="[\w-]+"\} (\d+)', line) for line in lines]
    return {each.group(1): float(each.group(2)) for each in found if each}


def must_be_clean_shell(script: Path) -> None:
    assert script.stat().st_mode & 0o7777 == 0o755
    subprocess.run(["shellcheck", "--shell=sh", str(script)], check=True)
    for shell in ("dash", "bash"):
        if shutil.which(shell):
            subprocess.run([shell, "-n", str(script)], check=True)


def test_the_script_is_clean_shell(installed: Path) -> None:
    must_be_clean_shell(installed / "compress-state.sh")


def test_the_script_of_the_wheel_is_clean_shell(with_wheel: Path) -> None:
    must_be_clean_shell(with_wheel / "compress-state.sh")
    assert (with_wheel / "compress-state.venv" / "bin" / "python").exists()


def test_cron_can_read_the_entry(installed: Path) -> None:
    lines = [line for line in (installed / "cron").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert len(lines) == 1
    found = re.fullmatch(r"(\d+) (\d+) (\S+) (\S+) (\d+) root (.+)", lines[0])
    assert found, lines[0]
    minute, hour, day, month, weekday, job = found.groups()
    assert int(minute) < 60
    assert (hour, day, month, weekday) == ("3", "*", "*", "0")
    # cron makes % a line end unless it is escaped, and gives the rest to sh.
    assert not re.search(r"(?<!\\)%", job)
    words = subprocess.run(
        ["sh", "-c", 'printf "%s\\n" ' + job.replace("\\%", "%")], capture_output=True, text=True, check=True
    )
    assert words.stdout.splitlines() == [str(installed / "compress-state.sh"), "--random-delay", "1800"]


def test_the_real_cron_takes_the_entry(installed: Path, tmp_path: Path) -> None:
    """Where this machine's crontab can check a file without installing it."""
    crontab = shutil.which("crontab")
    usage = subprocess.run([crontab, "-h"], capture_output=True, text=True, check=False).stderr if crontab else ""
    option = re.search(r"^\s+(-[nT])\s.*(?:dry run|test).*syntax", usage, re.MULTILINE)
    if not option:
        pytest.skip("no crontab that checks a file")
    # A user's file has no column for the user.
    entry = (installed / "cron").read_text(encoding="utf-8").replace(" root ", " ")
    for text, status in ((entry, 0), (entry.replace(" 3 * ", " 33 * "), 1)):
        (tmp_path / "crontab").write_text(text, encoding="utf-8")
        checked = subprocess.run([str(crontab), option.group(1), str(tmp_path / "crontab")], check=False)
        assert checked.returncode == status


def test_what_docker_is_asked(installed: Path, tmp_path: Path) -> None:
    script = copied(installed, tmp_path)
    done = start(script, DB_USER="matrix", DB_NAME="synapse_db")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    run = asked(script)[-1]
    assert run.startswith("run --rm --interactive --init --name synapse-tuning-compressor-")
    assert " --network container:c0ffee " in run
    assert " ghcr.io/matrix-org/rust-synapse-compress-state sh -c " in run
    assert run.endswith(" compress-state 500 100")
    assert where(script) == "host='127.0.0.1' port=5432 user='matrix' dbname='synapse_db'\n"
    assert asked(script)[0] == "compose ps -q db"
    assert "Saved 477 rows" in (tmp_path / "compress-state.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("environment", "user", "name"),
    [
        ({}, "postgres", "postgres"),
        ({"DB_USER": "synapse"}, "synapse", "synapse"),
        ({"DB_USER_FILE": "/run/secrets/user"}, "from_file", "from_file"),
        ({"DB_USER": "a' host=evil \\", "DB_NAME": "b c"}, r"a\' host=evil \\", "b c"),
    ],
)
def test_the_database_is_named_as_the_image_names_it(
    installed: Path, tmp_path: Path, environment: dict[str, str], user: str, name: str
) -> None:
    script = copied(installed, tmp_path)
    assert start(script, **environment).returncode == 0
    assert f" user='{user}' dbname='{name}'" in where(script)


def test_a_password_goes_the_one_way_that_others_do_not_see(with_password: Path, tmp_path: Path) -> None:
    secret = with_password / "compress-state.password"
    assert (secret.stat().st_mode & 0o7777, secret.read_text(encoding="utf-8")) == (0o600, f"{PASSWORD}\n")
    assert re.search(r"^\d+ 3 1 \* \* root ", (with_password / "cron").read_text(encoding="utf-8"), re.MULTILINE)
    script = copied(with_password, tmp_path)
    assert start(script, RUN_EXITS="1").returncode == 1
    assert where(script) == (
        r"host='db.example.org' port=5432 user='compressor' dbname='synapse' password='it\'s hunter\\2 %40:'" "\n"
    )
    assert " --network host " in asked(script)[-2]
    for path in (script, tmp_path / "asked", tmp_path / "compress-state.log", with_password / "cron"):
        assert "hunter" not in path.read_text(encoding="utf-8"), path
    assert "dbname='synapse' password=(hidden)\n" in (tmp_path / "compress-state.log").read_text(encoding="utf-8")


def test_a_password_file_that_is_gone(with_password: Path, tmp_path: Path) -> None:
    script = copied(with_password, tmp_path)
    (tmp_path / "compress-state.password").unlink()
    run = start(script)
    assert run.returncode == 69
    assert "compress-state.password cannot be read" in run.stderr


def test_the_status(installed: Path, tmp_path: Path) -> None:
    script = copied(installed, tmp_path)
    assert start(script).returncode == 0
    path = tmp_path / "compress-state.prom"
    assert path.stat().st_mode & 0o7777 == 0o644
    first = status(script)
    assert (first["last_exit_status"], first["last_saved_rows"]) == (0, 477)
    assert first["last_success_timestamp_seconds"] == first["last_end_timestamp_seconds"]
    assert first["last_duration_seconds"] == first["last_end_timestamp_seconds"] - first["last_start_timestamp_seconds"]
    # One that fails keeps when it went well.
    path.write_text(
        path.read_text("utf-8").replace(f"{first['last_success_timestamp_seconds']:.0f}", "1000000"), "utf-8"
    )
    assert start(script, RUN_EXITS="101").returncode == 101
    second = status(script)
    assert second["last_exit_status"] == 101
    assert second["last_success_timestamp_seconds"] == 1000000
    assert second["last_saved_rows"] == 477
    assert second["last_end_timestamp_seconds"] >= first["last_end_timestamp_seconds"]
    assert [each.name for each in tmp_path.glob("*.prom.*")] + [each.name for each in tmp_path.glob("*.lock.*")] == []


def test_a_run_that_is_told_to_end(installed: Path, tmp_path: Path) -> None:
    """As systemd does it, and the role that removes the job."""
    script = copied(installed, tmp_path)
    command(tmp_path / "bin", "docker", DOCKER)
    environment = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "RECORD": str(tmp_path / "asked")}
    with subprocess.Popen([str(script)], env={**environment, "RUN_TAKES": "60"}, stderr=subprocess.PIPE) as run:
        while not (tmp_path / "asked.stdin").exists():
            time.sleep(0.05)
        stop = ROOT / "roles" / "compressor" / "files" / "stop-run.sh"
        said = subprocess.run(
            ["sh", str(stop), f"{script}.lock", "x"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout == "stopped\n"
        assert run.wait() == 143
    assert status(script)["last_exit_status"] == 143
    assert asked(script)[-1].startswith("rm -f synapse-tuning-compressor-")


def test_no_password_is_asked_for(installed: Path, tmp_path: Path) -> None:
    script = copied(installed, tmp_path)
    start(script, DB_USER="synapse", POSTGRES_PASSWORD="hunter2", PGPASSWORD="hunter2")
    assert "PASSWORD" not in "\n".join(asked(script)).upper()
    assert "hunter2" not in (tmp_path / "asked").read_text(encoding="utf-8")


def test_the_exit_status_is_the_compressors(installed: Path, tmp_path: Path) -> None:
    script = copied(installed, tmp_path)
    done = start(script, RUN_EXITS="101")
    assert done.returncode == 101
    assert "exit status 101" in done.stderr
    assert asked(script)[-1].startswith("rm -f synapse-tuning-compressor-")


def test_a_run_that_takes_too_long_is_stopped(installed: Path, tmp_path: Path) -> None:
    script = copied(installed, tmp_path)
    done = start(script, RUN_TAKES="30")
    assert done.returncode == 124
    assert asked(script)[-1].startswith("rm -f synapse-tuning-compressor-")


def test_a_second_run_at_the_same_time_does_nothing(installed: Path, tmp_path: Path) -> None:
    script = copied(installed, tmp_path)
    with (tmp_path / "compress-state.sh.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = start(script)
    assert done.returncode == 75
    assert "another run" in done.stderr
    assert not (tmp_path / "asked").exists()
    assert start(script).returncode == 0


def test_a_database_that_does_not_run(installed: Path, tmp_path: Path) -> None:
    script = copied(installed, tmp_path)
    script.write_text(script.read_text(encoding="utf-8").replace("db_service=db", "db_service=gone"), encoding="utf-8")
    done = start(script)
    assert done.returncode == 69
    assert "the service gone does not run" in done.stderr
    assert not [line for line in asked(script) if line.startswith("run ")]


def test_the_random_delay_is_a_wait(installed: Path, tmp_path: Path) -> None:
    script = copied(installed, tmp_path)
    command(tmp_path / "bin", "sleep", 'echo "$1" >>"$RECORD.slept"')
    command(tmp_path / "bin", "od", "echo ' 65535'")
    assert start(script, "--random-delay", "1800").returncode == 0
    assert (tmp_path / "asked.slept").read_text(encoding="utf-8").split()[0] == "1799"


def test_the_log_stays_small(installed: Path, tmp_path: Path) -> None:
    script = copied(installed, tmp_path)
    (tmp_path / "compress-state.log").write_bytes(b"x" * (1 << 20) + b"\n")
    assert start(script).returncode == 0
    assert (tmp_path / "compress-state.log.1").stat().st_size > 1 << 20
    assert (tmp_path / "compress-state.log").stat().st_size < 1000


def test_not_installed_where_it_cannot_be(role_alone: Path, tmp_path: Path) -> None:
    run = install(role_alone, tmp_path / "synapse", commands=user_without_cron(tmp_path / "bin")).must_succeed()
    assert run.changed == 0
    assert "skipped: only root can install it; run again with --become" in run.stdout
    assert tree(tmp_path / "synapse") == {}


def test_not_installed_without_a_database(role_alone: Path, tmp_path: Path) -> None:
    commands = root_with_cron(tmp_path / "bin")
    run = install(role_alone, tmp_path / "synapse", commands=commands, topology="dedicated_synapse").must_succeed()
    assert "skipped: the database is not on this host" in run.stdout
    assert tree(tmp_path / "synapse") == {}


@pytest.mark.parametrize(
    ("machine", "settings", "says"),
    [
        ("armv7l", {}, "the image of the compressor is for amd64 and arm64, and this host is armv7l"),
        ("aarch64", {"runtime": "wheel"}, "the wheel of the compressor is for x86_64, and this host is aarch64"),
    ],
)
def test_not_installed_on_another_architecture(
    role_alone: Path, tmp_path: Path, machine: str, settings: dict[str, str], says: str
) -> None:
    commands = root_with_cron(tmp_path / "bin")
    command(commands, "uname", f"echo {machine}")
    named = {f"synapse_tuning_compressor_{name}": value for name, value in settings.items()}
    run = install(role_alone, tmp_path / "synapse", commands=commands, **named).must_succeed()
    assert f"skipped: {says}" in run.stdout
    assert tree(tmp_path / "synapse") == {}


REFUSED = (
    ({"runtime": "wheel", "wheel_version": "0.1.4"}, "0.1.4, the newest on PyPI, is an empty build"),
    ({"schedule": "Sat,Sun 03:00"}, "schedule is daily, weekly, monthly or a mapping"),
    ({"schedule": {"weekdays": "1"}}, "schedule is daily, weekly, monthly or a mapping"),
    ({"db_host": "db.example.org"}, "so set synapse_tuning_compressor_db_user and synapse_tuning_compressor_db_name"),
    ({"db_host": "/run/db", "db_user": "a", "db_name": "b"}, "needs synapse_tuning_compressor_runtime=wheel"),
    ({"db_host": "h", "db_user": "a", "db_name": "b", "db_role": "c"}, "is made in the database's container"),
    ({"db_password": "a\nb"}, "has a line break"),
    ({"db_password": "a", "password_file": "/b"}, "not both"),
    ({"db_role": "x; DROP"}, "db_role is a name of small letters"),
)


def test_what_is_refused(tmp_path: Path) -> None:
    """All in one play, each beside the others' answers."""
    tasks = [
        {
            "block": [
                {
                    "ansible.builtin.include_role": {"name": "synapse.tuning.compressor"},
                    "vars": {f"synapse_tuning_compressor_{name}": value for name, value in settings.items()},
                }
            ],
            "rescue": [{"ansible.builtin.debug": {"msg": f"case {number}: {{{{ ansible_failed_result.msg }}}}"}}],
        }
        for number, (settings, _says) in enumerate(REFUSED)
    ]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), "utf-8")
    run = install(
        tmp_path / "play.yml",
        tmp_path / "synapse",
        commands=root_with_cron(tmp_path / "bin"),
        synapse_tuning_plan=make_plan(Inputs(users=5, ram=2 * 1024**3)),
    )
    for number, (_settings, says) in enumerate(REFUSED):
        line = re.search(rf'"msg": "case {number}: (.*)"', run.stdout)
        assert line and says in line.group(1), (number, run.stdout)
    assert tree(tmp_path / "synapse") == {}


def test_check_mode_schedule_and_removal(role_alone: Path, tmp_path: Path) -> None:
    """One project through its whole life."""
    commands = root_with_cron(tmp_path / "bin")
    project = tmp_path / "synapse"
    settings = {
        "synapse_tuning_db_service": "database",
        "synapse_tuning_compressor_schedule": {"day": "1", "hour": "4"},
        "synapse_tuning_compressor_chunk_size": "300",
    }
    assert install(role_alone, project, "--check", commands=commands, **settings).must_succeed().changed == 2
    assert tree(project) == {}
    assert install(role_alone, project, commands=commands, **settings).must_succeed().changed == 2
    assert re.search(r"^\d+ 4 1 \* \* root ", (project / "cron").read_text(encoding="utf-8"), re.MULTILINE)
    text = (project / "compress-state.sh").read_text(encoding="utf-8")
    assert "\nchunk_size=300\n" in text
    assert "\ndb_service=database\n" in text
    assert install(role_alone, project, commands=commands, **settings).must_succeed().changed == 0
    # What runs leave, and what other settings had made.
    for name in ("log", "log.1", "prom", "sh.lock", "py", "password"):
        (project / f"compress-state.{name}").touch()
    (project / "compress-state.venv").mkdir()
    (project / "compose.yml").touch()
    absent = {"synapse_tuning_compressor_state": "absent"}
    assert install(role_alone, project, "--check", commands=commands, **absent).must_succeed().changed == 2
    assert len(tree(project)) == 9
    assert install(role_alone, project, commands=commands, **absent).must_succeed().changed == 2
    assert [path.name for path in project.iterdir()] == ["compose.yml"]


def test_a_missing_plan_is_one_line(tmp_path: Path) -> None:
    playbook = tmp_path / "alone.yml"
    playbook.write_text(
        yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": ["synapse.tuning.compressor"]}]),
        encoding="utf-8",
    )
    run = ansible_playbook(playbook)
    assert run.returncode != 0
    assert run.message == "Set synapse_tuning_plan to the plan that synapse.tuning.plan_info returns"
