# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role compressor: the job that it installs, and the script, run with a docker that records what it is asked."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from running import Run, ansible_playbook, command, root_with_cron, tree, user_without_cron

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="the script needs flock of util-linux")

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
    "run "*) echo "rows: 1520 to 1043"; sleep "${RUN_TAKES-0}"; exit "${RUN_EXITS-0}" ;;
esac
"""


@pytest.fixture(scope="module")
def role_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("playbook") / "compressor.yml"
    path.write_text(ROLE_ALONE, encoding="utf-8")
    return path


def install(playbook: Path, project: Path, *options: str, commands: Path, **variables: object) -> Run:
    project.mkdir(exist_ok=True)
    return ansible_playbook(
        playbook,
        *options,
        commands=commands,
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


def copied(project: Path, target: Path) -> Path:
    """The script for a folder of the test's own."""
    text = (project / "compress-state.sh").read_text(encoding="utf-8")
    quoted = str(project).replace("'", "'\"'\"'")
    assert quoted in text
    script = target / "compress-state.sh"
    script.write_text(text.replace(quoted, str(target)), encoding="utf-8")
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


def asked(script: Path) -> list[str]:
    return (script.parent / "asked").read_text(encoding="utf-8").splitlines()


def test_the_script_is_clean_shell(installed: Path) -> None:
    script = installed / "compress-state.sh"
    assert script.stat().st_mode & 0o7777 == 0o755
    subprocess.run(["shellcheck", "--shell=sh", str(script)], check=True)
    for shell in ("dash", "bash"):
        if shutil.which(shell):
            subprocess.run([shell, "-n", str(script)], check=True)


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
    assert run.startswith("run --rm --init --name synapse-tuning-compressor-")
    assert " --network container:c0ffee " in run
    assert run.endswith(
        " ghcr.io/matrix-org/rust-synapse-compress-state synapse_auto_compressor"
        " -p postgresql://matrix@127.0.0.1/synapse_db -c 500 -n 100"
    )
    assert asked(script)[0] == "compose ps -q db"
    assert "rows: 1520 to 1043" in (tmp_path / "compress-state.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "postgresql://postgres@127.0.0.1/postgres"),
        ({"DB_USER": "synapse"}, "postgresql://synapse@127.0.0.1/synapse"),
        ({"DB_USER_FILE": "/run/secrets/user"}, "postgresql://from_file@127.0.0.1/from_file"),
    ],
)
def test_the_database_is_named_as_the_image_names_it(
    installed: Path, tmp_path: Path, environment: dict[str, str], url: str
) -> None:
    script = copied(installed, tmp_path)
    assert start(script, **environment).returncode == 0
    assert f" -p {url} " in asked(script)[-1]


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


@pytest.mark.parametrize("name", ["a b", "a/../b?sslmode=disable", "user:password", "x@example.org"])
def test_a_name_that_would_change_the_url(installed: Path, tmp_path: Path, name: str) -> None:
    script = copied(installed, tmp_path)
    assert start(script, DB_USER=name).returncode == 69
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
    absent = {"synapse_tuning_compressor_state": "absent"}
    assert install(role_alone, project, "--check", commands=commands, **absent).must_succeed().changed == 1
    assert tree(project) != {}
    assert install(role_alone, project, commands=commands, **absent).must_succeed().changed == 1
    assert tree(project) == {}


def test_a_missing_plan_is_one_line(tmp_path: Path) -> None:
    playbook = tmp_path / "alone.yml"
    playbook.write_text(
        yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": ["synapse.tuning.compressor"]}]),
        encoding="utf-8",
    )
    run = ansible_playbook(playbook)
    assert run.returncode != 0
    assert run.message == "Set synapse_tuning_plan to the plan that synapse.tuning.plan_info returns"
