# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module deployment: complete, quiet about its secrets, and never in the way of what is there."""

from __future__ import annotations

import copy
import json
import os
import re
import stat
import tempfile
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from faults import NOBODY, ROOT, ignore_fork_warning, in_child, kill_at, mounted, needs_root

from ansible_collections.synapse.tuning.plugins.module_utils import _deployment
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem, PlanError
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.plan import make_plan
from ansible_collections.synapse.tuning.plugins.modules import deployment

pytestmark = ignore_fork_warning

PLAN = make_plan(Inputs(users=5, ram=2 * 1024**3, postgresql_version=17))

SECRETS = [
    "data/signing.key",
    "data/secrets/pgpass",
    "data/secrets/macaroon_secret_key",
    "data/secrets/form_secret",
    "data/secrets/registration_shared_secret",
    "secrets/postgres_password",
]
FILES = [*SECRETS[:5], "data/homeserver.yaml", SECRETS[5], "compose.yml"]


@pytest.fixture
def base():
    """A directory that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the module as Ansible would; gives its result, its warnings, and all that it printed under C(output)."""

    def call(path, *, plan=None, check=False, **arguments):
        plan = PLAN if plan is None else plan
        arguments = {"path": str(path), "plan": plan, **arguments, "_ansible_check_mode": check, "_ansible_diff": True}
        warnings = []
        monkeypatch.setattr(AnsibleModule, "warn", lambda _self, text: warnings.append(text))
        with patch_module_args(arguments), pytest.raises(SystemExit) as stopped:
            deployment.main()
        printed = capsys.readouterr()
        result = json.loads(printed.out)
        assert bool(stopped.value.code) is bool(result.get("failed"))
        result["warnings"] = warnings
        result["output"] = printed.out + printed.err + "".join(warnings)
        return result

    return call


def files_below(path):
    return sorted(str(each.relative_to(path)) for each in Path(path).rglob("*") if not each.is_dir())


def contents(path):
    return {name: (Path(path) / name).read_bytes() for name in files_below(path)}


def planned(**changes):
    """The plan, with other values for C(host) keys or images."""
    plan = copy.deepcopy(PLAN)
    for key, value in changes.items():
        if key in plan["deployment"]:
            plan["deployment"][key]["value"] = value
        else:
            plan["host"][key] = value
    return plan


def create(path, plan=None, server_name="example.org"):
    return _deployment.write(_deployment.missing(str(path), plan or PLAN, server_name=server_name))


def complete(path):
    """Everything is there, once, and the two places of the password agree."""
    assert files_below(path) == sorted(FILES)
    password = (Path(path) / "secrets/postgres_password").read_text().strip()
    assert (Path(path) / "data/secrets/pgpass").read_text() == f"*:*:synapse:synapse:{password}\n"


# --- what is created -----------------------------------------------------------------------


def test_creates_everything(run, base):
    path = base / "new" / "synapse"
    result = run(path, server_name="example.org")
    assert result["changed"] is True
    assert result["created"] == [str(path / name) for name in FILES]
    assert result["compose_path"] == str(path / "compose.yml")
    assert result["homeserver_path"] == str(path / "data" / "homeserver.yaml")
    assert result["warnings"] == []
    complete(path)


def test_a_second_run_changes_nothing(run, base):
    run(base / "s")
    before = contents(base / "s")
    result = run(base / "s")
    assert (result["changed"], result["created"], result["diff"]) == (False, [], [])
    assert result["warnings"] == []
    assert contents(base / "s") == before


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_modes(base, umask):
    old = os.umask(umask)
    try:
        create(base / "s")
    finally:
        os.umask(old)
    modes = {
        str(each.relative_to(base)): stat.S_IMODE(each.stat().st_mode)
        for each in [base / "s", *(base / "s").rglob("*")]
    }
    assert modes == {
        "s": 0o755,
        "s/compose.yml": 0o644,
        "s/secrets": 0o700,
        "s/data": 0o750,
        "s/data/secrets": 0o700,
        "s/data/homeserver.yaml": 0o640,
        **{f"s/{name}": 0o600 for name in SECRETS},
    }


@needs_root
def test_root_gives_data_to_the_images_user(base):
    create(base)
    for each in [base / "data", *(base / "data").rglob("*")]:
        assert (each.stat().st_uid, each.stat().st_gid) == (991, 991), each
    for name in ("compose.yml", "secrets", "secrets/postgres_password"):
        assert (base / name).stat().st_uid == 0
    assert "UID" not in yaml.safe_load((base / "compose.yml").read_text())["services"]["synapse"]["environment"]


def test_anybody_elses_synapse_runs_as_that_user(base):
    if ROOT:
        os.chown(base, NOBODY, NOBODY)
    in_child(lambda: create(base), user=NOBODY)
    owner = base.stat()
    environment = yaml.safe_load((base / "compose.yml").read_text())["services"]["synapse"]["environment"]
    assert environment["UID"] == str(owner.st_uid)
    assert environment["GID"] == str(os.stat(base / "data").st_gid)
    assert {each.stat().st_uid for each in base.rglob("*")} == {owner.st_uid}


@needs_root
def test_a_data_directory_made_for_another_user_decides(base):
    """So does one that an earlier run as that user made."""
    (base / "data").mkdir()
    os.chown(base / "data", 1000, 1001)
    lacking = _deployment.missing(str(base), PLAN, server_name="example.org")
    assert lacking.warnings == ()
    _deployment.write(lacking)
    environment = yaml.safe_load((base / "compose.yml").read_text())["services"]["synapse"]["environment"]
    assert (environment["UID"], environment["GID"]) == ("1000", "1001")
    assert (base / "data" / "secrets" / "pgpass").stat().st_uid == 1000


@needs_root
def test_a_data_directory_of_roots_is_warned_of(run, base):
    (base / "data").mkdir()
    result = run(base, server_name="example.org")
    assert len(result["warnings"]) == 1
    assert f"{base}/data must be writable for Synapse" in result["warnings"][0]
    assert "chown it to 991:991" in result["warnings"][0]
    assert (base / "data").stat().st_uid == 0


def test_compose_yml(base):
    create(base)
    compose = yaml.safe_load((base / "compose.yml").read_text())
    assert list(compose["services"]) == ["synapse", "db"]
    synapse, db = compose["services"]["synapse"], compose["services"]["db"]
    assert synapse["image"] == PLAN["deployment"]["synapse_image"]["value"]
    assert db["image"] == "postgres:17-alpine"
    assert synapse["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert all(port.startswith("127.0.0.1:") for port in synapse["ports"])
    assert "ports" not in db
    assert "pg_isready" in db["healthcheck"]["test"][1]
    assert db["environment"] == {
        "POSTGRES_DB": "synapse",
        "POSTGRES_USER": "synapse",
        "POSTGRES_PASSWORD_FILE": "/run/secrets/postgres_password",
        "POSTGRES_INITDB_ARGS": "--encoding=UTF-8 --lc-collate=C --lc-ctype=C",
    }
    assert (base / compose["secrets"]["postgres_password"]["file"]).exists()
    # The levers are the plan's, and added by compose_file.
    for service in (synapse, db):
        assert not {"command", "deploy", "mem_limit", "shm_size"} & set(service)


@pytest.mark.parametrize("version,inside", [(16, "/var/lib/postgresql/data"), (17, "/var/lib/postgresql/data")])
def test_the_volume_of_postgresql_to_17(base, version, inside):
    create(base, planned(postgresql_version=version))
    db = yaml.safe_load((base / "compose.yml").read_text())["services"]["db"]
    assert db["volumes"] == [f"./postgres-data:{inside}"]


@pytest.mark.parametrize("version", [18, 19])
def test_the_volume_moved_with_postgresql_18(base, version):
    create(base, planned(postgresql_version=version))
    db = yaml.safe_load((base / "compose.yml").read_text())["services"]["db"]
    assert db["volumes"] == ["./postgres-data:/var/lib/postgresql"]


def test_homeserver_yaml_has_no_secret_and_no_lever(base):
    create(base, server_name="[2001:db8::1]:8448")
    text = (base / "data" / "homeserver.yaml").read_text()
    config = yaml.safe_load(text)
    assert config["server_name"] == "[2001:db8::1]:8448"
    assert not {"macaroon_secret_key", "form_secret", "registration_shared_secret", "signing_key"} & set(config)
    assert not {"caches", "event_cache_size", "limit_remote_rooms"} & set(config)
    assert not {"password", "cp_min", "cp_max"} & set(config["database"]["args"])
    # Each path names a file that was made.
    paths = [value for key, value in config.items() if key.endswith("_path") and key != "media_store_path"]
    for inside in [*paths, config["database"]["args"]["passfile"]]:
        assert (base / "data" / os.path.relpath(inside, "/data")).is_file()


def test_secrets_are_long_and_differ(base):
    create(base / "one")
    create(base / "two")
    values = [
        (base / where / name).read_text().strip()
        for where in ("one", "two")
        for name in SECRETS
        if "pgpass" not in name
    ]
    assert len(set(values)) == len(values) == 10
    assert min(map(len, values)) >= 43  # 256 bits
    for where in ("one", "two"):
        assert re.fullmatch(
            r"ed25519 a_[A-Za-z]{4} [A-Za-z0-9+/]{43}\n", (base / where / "data" / "signing.key").read_text()
        )


def test_odd_images_stay_what_they_are(base):
    odd = {"synapse_image": "${EVIL} #: x", "POSTGRES_INITDB_ARGS": '--a="$b" \\ é'}
    create(base, planned(**odd))
    services = yaml.safe_load((base / "compose.yml").read_text())["services"]
    # Compose turns $$ into a plain dollar.
    assert services["synapse"]["image"] == "$${EVIL} #: x"
    assert services["db"]["environment"]["POSTGRES_INITDB_ARGS"] == '--a="$$b" \\ é'


# --- secrets stay secret -------------------------------------------------------------------


@pytest.mark.parametrize("check", [False, True])
def test_no_secret_in_the_result_or_any_output(run, base, monkeypatch, check):
    made = []
    real = _deployment.secrets.token_urlsafe
    monkeypatch.setattr(_deployment.secrets, "token_urlsafe", lambda size: made.append(real(size)) or made[-1])
    monkeypatch.setattr(_deployment.secrets, "token_bytes", lambda size: b"seed" * (size // 4))
    result = run(base / "s", check=check)
    made.append("c2VlZHNlZWRzZWVk")
    assert len(made) == 5
    for secret in made:
        assert secret not in result["output"]
    if not check:
        on_disk = "".join((base / "s" / name).read_text() for name in SECRETS)
        assert all(secret in on_disk for secret in made)
        shown = (base / "s/compose.yml").read_text() + (base / "s/data/homeserver.yaml").read_text()
        assert not any(secret in shown for secret in made)


def test_a_traceback_shows_no_secret(base):
    lacking = _deployment.missing(str(base), PLAN, server_name="example.org")
    for file in lacking.files:
        if file.secret:
            assert file.text.strip().split()[-1] not in repr(lacking)


def test_the_diff_shows_what_is_written(run, base):
    result = run(base / "s")
    assert [entry["after_header"] for entry in result["diff"]] == result["created"]
    for entry in result["diff"]:
        name = os.path.relpath(entry["after_header"], base / "s")
        assert entry["before"] == ""
        assert entry["after"] == ("*********\n" if name in SECRETS else (base / "s" / name).read_text())


def test_check_mode_tells_the_same_and_writes_nothing(run, base):
    checked = run(base / "s", check=True)
    assert os.listdir(base) == []
    made = run(base / "s")
    for key in ("changed", "created", "diff", "compose_path", "homeserver_path", "warnings"):
        assert checked[key] == made[key]


# --- parts that are there already ----------------------------------------------------------


@pytest.mark.parametrize("name", ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"])
def test_a_compose_file_is_left_alone(run, base, name):
    (base / name).write_text("services: {}\n")
    result = run(base, server_name="example.org")
    assert result["compose_path"] == str(base / name)
    assert [os.path.relpath(each, base) for each in result["created"]] == FILES[:6]
    assert (base / name).read_text() == "services: {}\n"
    assert len(result["warnings"]) == 1
    assert "the compose file was there already" in result["warnings"][0]
    assert "data/secrets/pgpass" in result["warnings"][0]


def test_a_homeserver_yaml_is_left_alone(run, base):
    """And gets no new keys: without its own it must fail, not become another server."""
    (base / "data").mkdir()
    if ROOT:
        os.chown(base / "data", 991, 991)
    (base / "data" / "homeserver.yaml").write_text("server_name: mine\n")
    result = run(base)
    assert [os.path.relpath(each, base) for each in result["created"]] == FILES[6:]
    assert (base / "data" / "homeserver.yaml").read_text() == "server_name: mine\n"
    assert len(result["warnings"]) == 1
    assert "homeserver.yaml was there already" in result["warnings"][0]


def test_a_lost_signing_key_is_not_replaced(run, base):
    create(base)
    (base / "data" / "signing.key").unlink()
    assert run(base)["changed"] is False
    assert not (base / "data" / "signing.key").exists()


@pytest.mark.parametrize("lost", ["compose.yml", "data/homeserver.yaml"])
def test_a_lost_file_comes_back_with_the_old_secrets(run, base, lost):
    create(base)
    before = contents(base)
    (base / lost).unlink()
    result = run(base, server_name="example.org")
    assert result["created"] == [str(base / lost)]
    assert result["warnings"] == []
    assert contents(base) == before


@pytest.mark.parametrize(
    "kept,text",
    [("secrets/postgres_password", "sec:r\\et\n"), ("data/secrets/pgpass", "# mine\n*:*:*:*:sec\\:r\\\\et\n")],
)
def test_a_known_password_is_used(base, kept, text):
    (base / kept).parent.mkdir(parents=True)
    (base / kept).write_text(text)
    (base / "postgres-data").mkdir()
    (base / "postgres-data" / "PG_VERSION").write_text("17\n")
    create(base)
    assert (base / kept).read_text() == text
    assert (base / "secrets/postgres_password").read_text() == "sec:r\\et\n"
    assert (base / "data/secrets/pgpass").read_text().endswith(":sec\\:r\\\\et\n")


def test_a_database_whose_password_is_unknown_is_refused(run, base):
    (base / "postgres-data").mkdir()
    (base / "postgres-data" / "PG_VERSION").write_text("17\n")
    for check in (True, False):
        result = run(base, check=check)
        assert result["failed"] is True
        assert "bring back secrets/postgres_password" in result["msg"]
        assert "\n" not in result["msg"]
    assert os.listdir(base) == ["postgres-data"]
    (base / "postgres-data" / "PG_VERSION").unlink()
    assert run(base)["changed"] is True


@pytest.mark.parametrize(
    "name,word", [("secrets/postgres_password", "is empty"), ("data/secrets/pgpass", "holds no line")]
)
def test_an_unusable_password_file_is_refused(run, base, name, word):
    (base / name).parent.mkdir(parents=True)
    (base / name).write_text("\n")
    result = run(base)
    assert result["failed"] is True
    assert result["msg"].startswith(str(base / name))
    assert word in result["msg"]
    assert files_below(base) == [name]


def test_a_dangling_link_counts_as_there(run, base):
    (base / "compose.yml").symlink_to("nowhere")
    run(base)
    assert os.readlink(base / "compose.yml") == "nowhere"
    assert not (base / "nowhere").exists()


# --- what is refused or warned of ----------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["example.org", "EXAMPLE.org:8448", "localhost", "1.2.3.4:80", "[::1]", "[2001:db8::1]:8448", "xn--mnchen-3ya.de"],
)
def test_server_names(name):
    _deployment.check_server_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "exämple.org",
        "example.org/",
        "https://example.org",
        "@me:example.org",
        "example.org:",
        "example.org:0",
        "example.org:65536",
        "example.org:1:2",
        "example_org",
        "-example.org",
        "a b",
        "example.org\n",
        "example.org\nevil: true",
        'x"',
        "[::1",
        "::1",
        "[::g]",
        "[fe80::1%eth0]",
        "[]",
        "a" * 231,
        "$server",
    ],
)
def test_bad_server_names(run, base, name):
    result = run(base / "s", server_name=name)
    assert result["failed"] is True
    assert "is no Matrix server name" in result["msg"]
    assert "such as example.org" in result["msg"]
    assert "\n" not in result["msg"]
    assert os.listdir(base) == []


def test_the_placeholder_is_warned_of_where_it_is_written(run, base):
    for check in (True, False):
        (warning,) = run(base / "s", check=check)["warnings"]
        assert "placeholder matrix.example.org" in warning
        assert str(base / "s/data/homeserver.yaml") in warning
    assert run(base / "s")["warnings"] == []


def test_workers_are_warned_of(run, base):
    (warning,) = run(base / "s", server_name="example.org", plan=planned(workers=2))["warnings"]
    assert "add Redis and the workers" in warning


@pytest.mark.parametrize(
    "plan,words",
    [
        ({}, "no 'host'"),
        ({"host": {}}, "postgresql_version"),
        ({"host": {"postgresql_version": 17}}, "deployment.synapse_image"),
        ({"host": {"postgresql_version": 17}, "deployment": {"synapse_image": "x"}}, "deployment.synapse_image"),
        (planned(synapse_image=""), "deployment.synapse_image"),
        (planned(postgresql_image="a\nb"), "deployment.postgresql_image"),
        (planned(postgresql_version="new"), "postgresql_version"),
        (planned(topology="dedicated_synapse"), "topology is dedicated_synapse"),
        (planned(topology="dedicated_database"), "topology is dedicated_database"),
        (planned(synapse_version="1.125.0"), "Synapse 1.126 or later"),
    ],
)
def test_plans_that_make_no_deployment(run, base, plan, words):
    result = run(base / "s", plan=plan, server_name="example.org")
    assert result["failed"] is True
    assert words in result["msg"]
    assert "plan" in result["msg"]
    assert "\n" not in result["msg"]
    assert os.listdir(base) == []


def test_a_version_that_is_no_number_is_taken(base):
    create(base, planned(synapse_version="latest"))
    complete(base)


# --- faults --------------------------------------------------------------------------------


def test_a_destination_that_cannot_be_written(base):
    base.chmod(0o555)
    try:
        with pytest.raises(FileProblem) as caught:
            in_child(lambda: create(base / "s"), user=NOBODY)
    finally:
        base.chmod(0o755)
    assert str(caught.value) == f"{base}/s: cannot be made: permission denied; run as the owner or with become"
    assert os.listdir(base) == []


def test_a_destination_that_is_a_file(run, base):
    (base / "s").write_text("mine")
    result = run(base / "s")
    assert result["failed"] is True
    assert result["msg"].startswith(f"{base}/s")
    assert (base / "s").read_text() == "mine"


@needs_root
def test_a_full_disk_and_the_run_after_it(run, base):
    # Room for the directories and the secrets, not for compose.yml and homeserver.yaml.
    with mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs", on=base):
        (base / "ballast").write_bytes(b"x" * 40000)
        result = run(base / "s", server_name="example.org")
        assert result["failed"] is True
        assert "the disk is full; free some space" in result["msg"]
        assert "\n" not in result["msg"]
        left = contents(base / "s")
        assert 0 < len(left) < len(FILES)
        (base / "ballast").unlink()
        assert run(base / "s", server_name="example.org")["changed"] is True
        complete(base / "s")
        assert left.items() <= contents(base / "s").items()


@pytest.mark.parametrize("file", range(1, len(FILES) + 1))
@pytest.mark.parametrize("before", ["link", "unlink"])
def test_killed_at_any_file_the_next_run_completes_it(base, file, before):
    """Before a file gets its name, and right after it."""
    assert kill_at(before, lambda: create(base), call=file)
    left = {name: text for name, text in contents(base).items() if not name.endswith(".tmp")}
    assert len(left) == (file - 1 if before == "link" else file)
    create(base)
    complete(base)
    assert left.items() <= contents(base).items()
    assert create(base) == []


def test_plan_errors_are_the_collections_own():
    with pytest.raises(PlanError):
        _deployment.missing("/nonexistent", {}, server_name="example.org")
