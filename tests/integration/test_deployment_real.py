# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Synapse reads a new deployment's homeserver.yaml, the real Compose its compose.yml."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest
import signedjson.key
import yaml
from real import grid, postgres
from synapse.config.homeserver import HomeServerConfig

from ansible_collections.synapse.tuning.plugins.module_utils import _deployment
from ansible_collections.synapse.tuning.plugins.module_utils._core import host, plan

# Of Synapse's own, about what its libraries have deprecated.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def _create(path: pathlib.Path, *, server_name: str = "example.org", **inputs: Any) -> dict[str, Any]:
    made = plan.make_plan(host.Inputs(users=5, ram=2 * 1024**3, **inputs))
    _deployment.write(_deployment.missing(str(path), made, server_name=server_name))
    return made


@pytest.fixture
def deployment(tmp_path: pathlib.Path) -> pathlib.Path:
    _create(tmp_path / "synapse")
    return tmp_path / "synapse"


def _read_by_synapse(deployment: pathlib.Path) -> HomeServerConfig:
    """The written configuration as Synapse's own start reads it, with /data where it lies outside the container."""
    written = (deployment / "data" / "homeserver.yaml").read_text(encoding="utf-8")
    assert written.count("/data/") >= 7
    outside = deployment.parent / "outside.yaml"
    outside.write_text(written.replace("/data/", f"{deployment}/data/"), encoding="utf-8")
    before = sorted(deployment.rglob("*"))
    config = HomeServerConfig.load_config("test", ["--config-path", str(outside)])
    # A file that Synapse makes itself would be one that was forgotten here.
    assert sorted(set(deployment.rglob("*")) - set(before)) in ([], [deployment / "data" / "media_store"])
    return config


def _secret(deployment: pathlib.Path, name: str) -> str:
    return (deployment / "data" / "secrets" / name).read_text(encoding="utf-8").strip()


@pytest.mark.parametrize("server_name", ["example.org", "matrix.example.org:8448", "[2001:db8::1]", "1.2.3.4"])
def test_synapse_reads_the_server_name(tmp_path: pathlib.Path, server_name: str) -> None:
    _create(tmp_path / "synapse", server_name=server_name)
    assert _read_by_synapse(tmp_path / "synapse").server.server_name == server_name


def test_synapse_reads_the_secrets_from_their_files(deployment: pathlib.Path) -> None:
    config = _read_by_synapse(deployment)
    assert config.key.macaroon_secret_key == _secret(deployment, "macaroon_secret_key").encode()
    assert config.key.form_secret == _secret(deployment, "form_secret")
    assert config.registration.registration_shared_secret == _secret(deployment, "registration_shared_secret")


def test_synapse_reads_the_signing_key(deployment: pathlib.Path) -> None:
    path = deployment / "data" / "signing.key"
    (key,) = _read_by_synapse(deployment).key.signing_key
    with path.open(encoding="utf-8") as stream:
        (written,) = signedjson.key.read_signing_keys(stream)
    assert bytes(key) == bytes(written)
    assert (key.alg, key.version) == (written.alg, written.version)
    # Written as signedjson would write it, byte for byte.
    again = path.with_name("again.key")
    with again.open("w", encoding="utf-8") as stream:
        signedjson.key.write_signing_keys(stream, [key])
    assert again.read_bytes() == path.read_bytes()


def test_synapse_logs_to_the_container_and_needs_no_other_file(deployment: pathlib.Path) -> None:
    config = _read_by_synapse(deployment)
    assert config.logging.log_config is None
    assert config.media.media_store_path == f"{deployment}/data/media_store"
    assert config.server.pid_file == f"{deployment}/data/homeserver.pid"
    assert config.metrics.report_stats is False


def test_synapse_listens_for_clients_federation_and_metrics(deployment: pathlib.Path) -> None:
    config = _read_by_synapse(deployment)
    assert config.metrics.enable_metrics is True
    http, metrics = config.server.listeners
    assert (http.port, http.type, http.tls) == (8008, "http", False)
    assert http.http_options.x_forwarded is True
    assert [each.names for each in http.http_options.resources] == [["client", "federation"]]
    assert (metrics.port, metrics.type) == (9000, "metrics")
    # Inside the container on every address, or its published ports would lead nowhere.
    assert "0.0.0.0" in http.bind_addresses
    assert "0.0.0.0" in metrics.bind_addresses


def test_the_database_is_the_one_that_compose_starts(deployment: pathlib.Path) -> None:
    database = _read_by_synapse(deployment).database.get_single_database().config
    assert database["name"] == "psycopg2"
    arguments = database["args"]
    db = yaml.safe_load((deployment / "compose.yml").read_text(encoding="utf-8"))["services"]["db"]
    assert arguments["user"] == db["environment"]["POSTGRES_USER"]
    assert arguments["dbname"] == db["environment"]["POSTGRES_DB"]
    assert arguments["host"] == "db"
    # libpq knows each of them; a name that it does not know would be an error here.
    assert psycopg2.extensions.parse_dsn(psycopg2.extensions.make_dsn(**arguments)) == arguments


def test_the_password_file_opens_the_database(
    deployment: pathlib.Path, newest_postgresql: postgres.Installation
) -> None:
    """What Synapse is told to connect with, to a PostgreSQL made with what the db container is told."""
    arguments = _read_by_synapse(deployment).database.get_single_database().config["args"]
    db = yaml.safe_load((deployment / "compose.yml").read_text(encoding="utf-8"))["services"]["db"]["environment"]
    # The image's entrypoint, too, reads it without the final newline.
    password = (deployment / "secrets" / "postgres_password").read_text(encoding="utf-8").rstrip("\n")
    with postgres.Server.start(
        newest_postgresql,
        arguments=[],
        initdb=db["POSTGRES_INITDB_ARGS"].split(),
        user=db["POSTGRES_USER"],
        password=password,
        log=deployment.parent / "postgresql.log",
    ) as server:
        here = {"host": "127.0.0.1", "port": server.port}
        as_image = psycopg2.connect(user=db["POSTGRES_USER"], password=password, dbname="postgres", **here)
        with contextlib.closing(as_image):
            as_image.autocommit = True
            as_image.cursor().execute(f'CREATE DATABASE "{db["POSTGRES_DB"]}"')
        with contextlib.closing(psycopg2.connect(**{**arguments, **here})) as as_synapse, as_synapse.cursor() as cursor:
            cursor.execute(
                "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = 'synapse'"
            )
            # Synapse starts on no other.
            assert cursor.fetchall() == [("UTF8", "C", "C")]
        # The control: it was that file, and libpq takes it only while it is closed to others.
        os.chmod(arguments["passfile"], 0o644)
        with pytest.raises(psycopg2.OperationalError, match="no password supplied"):
            psycopg2.connect(**{**arguments, **here})


# --- Compose -------------------------------------------------------------------------------


def _compose(deployment: pathlib.Path, *arguments: str) -> str:
    run = subprocess.run(
        ["docker-compose", "config", *arguments], cwd=deployment, text=True, capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout


@pytest.mark.parametrize("postgresql_version", [15, 17, 18])
def test_compose_accepts_it_without_a_warning(tmp_path: pathlib.Path, postgresql_version: int) -> None:
    _create(tmp_path / "synapse", postgresql_version=postgresql_version)
    assert _compose(tmp_path / "synapse", "--quiet") == ""


def test_compose_reads_what_was_meant(deployment: pathlib.Path) -> None:
    compose = json.loads(_compose(deployment, "--format", "json"))
    synapse, db = compose["services"]["synapse"], compose["services"]["db"]
    made = plan.make_plan(host.Inputs(users=5, ram=2 * 1024**3))
    images = grid.values(made["deployment"])
    assert (synapse["image"], db["image"]) == (images["synapse_image"], images["postgresql_image"])
    assert db["environment"]["POSTGRES_INITDB_ARGS"] == images["POSTGRES_INITDB_ARGS"]
    assert [(port["host_ip"], port["published"], port["target"]) for port in synapse["ports"]] == [
        ("127.0.0.1", "8008", 8008),
        ("127.0.0.1", "9000", 9000),
    ]
    assert synapse["volumes"][0]["source"] == str(deployment / "data")
    assert compose["secrets"]["postgres_password"]["file"] == str(deployment / "secrets" / "postgres_password")
    assert db["secrets"] == [{"source": "postgres_password", "target": "/run/secrets/postgres_password"}]
    assert synapse["depends_on"]["db"]["condition"] == "service_healthy"
    # Whoever may ask Compose for the whole configuration gets no secret.
    password = (deployment / "secrets" / "postgres_password").read_text(encoding="utf-8").strip()
    assert password not in _compose(deployment)


def test_compose_interpolates_nothing_of_the_plan(tmp_path: pathlib.Path) -> None:
    made = plan.make_plan(host.Inputs(users=5, ram=2 * 1024**3))
    made["deployment"]["POSTGRES_INITDB_ARGS"]["value"] = '--locale="${HOME}" $$ \\ #'
    _deployment.write(_deployment.missing(str(tmp_path / "s"), made, server_name="example.org"))
    compose = json.loads(_compose(tmp_path / "s", "--format", "json", "--no-interpolate"))
    written = compose["services"]["db"]["environment"]["POSTGRES_INITDB_ARGS"]
    assert written == '--locale="$${HOME}" $$$$ \\ #'
    assert os.environ["HOME"] not in _compose(tmp_path / "s").replace(str(tmp_path), "")
