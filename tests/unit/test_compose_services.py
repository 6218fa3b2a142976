# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services are Synapse and its PostgreSQL."""

from __future__ import annotations

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils import _compose_services as find
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ServiceError


def same(value):
    return value


def synapse(services, named=None):
    return find.find_synapse(services, named=named, resolve=same, file="compose.yml")


def database(services, *, synapse=None, named=None):
    return find.find_database(services, synapse=synapse, named=named, resolve=same, file="compose.yml")


def refused(action, *args, **kwargs):
    with pytest.raises(ServiceError) as caught:
        action(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "image",
    [
        "matrixdotorg/synapse",
        "matrixdotorg/synapse:latest",
        "docker.io/matrixdotorg/synapse:v1.163.2",
        "ghcr.io/element-hq/synapse:v1.163.2",
        "ghcr.io/element-hq/synapse@sha256:0123",
        "registry.example.org:5000/matrixdotorg/synapse:v1.149.1@sha256:0123",
        "harbor.example.org/ghcr.io/element-hq/synapse:v1.149.1",
        "localhost/matrixdotorg/synapse",
    ],
)
def test_images_of_synapse(image):
    assert synapse({"other": {"image": "nginx"}, "hs": {"image": image}}) == "hs"


@pytest.mark.parametrize(
    "image",
    [
        "synapse",
        "somebody/synapse:latest",
        "matrixdotorg/synapse-admin",
        "awesometechnologies/synapse-admin",
        "matrixdotorg/sygnal",
        "ghcr.io/element-hq/matrix-authentication-service",
        "",
    ],
)
def test_other_images_are_not_synapse(image):
    message = refused(synapse, {"a": {"image": image}, "b": None})
    assert "no service has Synapse's image" in message
    assert "a, b" in message
    assert "synapse_tuning_synapse_service" in message


@pytest.mark.parametrize(
    "image",
    [
        "postgres",
        "postgres:17-alpine",
        "library/postgres:17",
        "docker.io/postgres:16",
        "docker.io/library/postgres:16@sha256:0123",
        "pgautoupgrade/pgautoupgrade:17-alpine",
        "registry.example.org/postgres:16",
        "registry.example.org:5000/library/postgres:16",
        "harbor.example.org/dockerhub/postgres",
        "public.ecr.aws/docker/library/postgres:16",
    ],
)
def test_images_of_postgresql(image):
    assert database({"other": {"image": "redis"}, "pg": {"image": image}}) == "pg"


@pytest.mark.parametrize(
    "image",
    [
        "quay.io/prometheuscommunity/postgres-exporter",
        "postgrest/postgrest",
        "dpage/pgadmin4",
        "somebody/postgres",
        "ghcr.io/somebody/postgres:16",
        "docker.io/somebody/postgres",
        "mariadb",
    ],
)
def test_other_images_are_not_postgresql(image):
    message = refused(database, {"a": {"image": image}}, synapse=None)
    assert "no service has PostgreSQL's image" in message
    assert "synapse_tuning_db_service" in message


def test_a_missing_database_may_be_elsewhere():
    services = {"synapse": {"image": "matrixdotorg/synapse"}}
    assert "topology dedicated_synapse" in refused(database, services, synapse="synapse")


def test_two_synapses_are_named():
    services = {name: {"image": "matrixdotorg/synapse"} for name in ("one", "two")}
    message = refused(synapse, services)
    assert "more than one service has Synapse's image" in message
    assert "one, two" in message
    assert synapse(services, named="two") == "two"


def test_a_name_that_is_not_there():
    services = {"one": {"image": "matrixdotorg/synapse"}}
    assert "no service 'three' (there are: one)" in refused(synapse, services, named="three")
    assert "no service 'three' (there are: one)" in refused(database, services, named="three")


MAIN = {"image": "matrixdotorg/synapse"}


@pytest.mark.parametrize(
    "worker",
    [
        {**MAIN, "environment": {"SYNAPSE_WORKER": "synapse.app.generic_worker"}},
        {**MAIN, "environment": ["SYNAPSE_WORKER=synapse.app.federation_sender"]},
        {**MAIN, "command": "run -m synapse.app.generic_worker --config-path=/data/w.yaml"},
        {**MAIN, "command": ["run", "-m", "synapse.app.generic_worker"]},
        {**MAIN, "entrypoint": ["python", "-m", "synapse.app.media_repository"]},
        {"image": "matrixdotorg/synapse-workers"},
        {"image": "ghcr.io/element-hq/synapse-workers:v1.163.2"},
    ],
)
def test_workers_are_not_the_main_process(worker):
    services = {"worker": worker, "main": {**MAIN, "command": "run -m synapse.app.homeserver"}}
    assert synapse(services) == "main"
    assert find.workers(services, "main", same) == ["worker"]


def test_the_workers_image_alone_runs_it_all():
    assert synapse({"all": {"image": "matrixdotorg/synapse-workers"}}) == "all"


@pytest.mark.parametrize("command", ["generate", ["migrate_config"]])
def test_a_service_that_only_makes_the_configuration_is_passed_over(command):
    assert synapse({"setup": {**MAIN, "command": command}, "synapse": MAIN}) == "synapse"


POSTGRES = {"image": "postgres:17"}


@pytest.mark.parametrize("depends_on", [["b", "redis"], {"b": {"condition": "service_healthy"}}])
def test_of_several_databases_synapse_s_own(depends_on):
    services = {"a": POSTGRES, "b": POSTGRES, "synapse": {**MAIN, "depends_on": depends_on}}
    assert database(services, synapse="synapse") == "b"


def test_a_link_is_a_dependency():
    services = {"a": POSTGRES, "b": POSTGRES, "synapse": {**MAIN, "links": ["a:db"]}}
    assert database(services, synapse="synapse") == "a"


def test_of_several_databases_without_a_hint_none_is_taken():
    services = {"a": POSTGRES, "b": POSTGRES, "synapse": MAIN}
    assert "more than one service has PostgreSQL's image (postgres): a, b" in refused(
        database, services, synapse="synapse"
    )
    assert "a, b" in refused(database, services)
    assert database(services, named="b") == "b"


def test_of_several_databases_that_synapse_depends_on_none_is_taken():
    services = {"a": POSTGRES, "b": POSTGRES, "c": POSTGRES, "synapse": {**MAIN, "depends_on": ["b", "c"]}}
    assert ": b, c;" in refused(database, services, synapse="synapse")


def test_an_image_by_extends():
    services = {"base": {"image": "postgres:17"}, "db": {"extends": {"service": "base"}}}
    assert find.image_of(services, "db", same) == "postgres:17"
    assert find.image_of({"a": {"extends": "b"}, "b": {"extends": "a"}}, "a", same) == ""
    assert find.image_of({"db": {"extends": {"file": "other.yml", "service": "db"}}}, "db", same) == ""


@pytest.mark.parametrize(
    "image, tag",
    [
        ("matrixdotorg/synapse:v1.149.1", "v1.149.1"),
        ("localhost:5000/matrixdotorg/synapse", ""),
        ("localhost:5000/matrixdotorg/synapse:v1@sha256:12", "v1"),
        ("matrixdotorg/synapse@sha256:12", ""),
    ],
)
def test_tags(image, tag):
    assert find.image_tag(image) == tag


def test_environments_of_both_forms():
    assert find.environment({"environment": {"A": 1, "B": None, "C": True, "D": 0.2}}) == {
        "A": "1",
        "B": None,
        "C": "true",
        "D": "0.2",
    }
    assert find.environment({"environment": ["A=1", "B", "A=2=3"]}) == {"A": "2=3", "B": None}
    assert find.environment({"environment": None}) == {}
