# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan put into compose files as self-hosters have them: only owned lines differ, and they say what was planned."""

from __future__ import annotations

import copy
import difflib
import os
import pathlib
import re
import shlex
import stat
import tempfile

import pytest
import yaml
from compose_cases import CASES
from faults import NOBODY, ROOT, ignore_fork_warning, in_child
from sample_plan import PARAMETERS, SYNAPSE_ENVIRONMENT, sample_plan

from ansible_collections.synapse.tuning.plugins.module_utils import _compose_file
from ansible_collections.synapse.tuning.plugins.module_utils._backups import Keep
from ansible_collections.synapse.tuning.plugins.module_utils._compose_file import Request, prepare, write
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import (
    FileProblem,
    PlanError,
    ServiceError,
    TuningError,
    YamlProblem,
)

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)

# What a line may hold that is ours to add, change or remove.
KEEP = Keep("20260102T030405.678901Z")
NOTHING = Keep("20260102T030405.678901Z", backup=False)
OWNED = re.compile(
    r"""\s*(?:
      -?\s*["']?(?:SYNAPSE_CACHE_FACTOR|MALLOC_CONF|PYTHONMALLOC)\b
    | (?:environment|deploy|resources|limits|reservations|command):\s*$
    | (?:(?:resources|reservations|limits):\s*\{.*)?\bmemory:\s
    | (?:mem_limit|mem_reservation|shm_size):\s
    | environment:\s\*[\w-]+$ | <<:\s\*[\w-]+$
    | -\s["']?(?:-c|-N|-B|postgres)["']?$
    | -\s["']?\d+["']?$
    | (?:-\s)?["']?(?:-c\s?|--)?["']?(?:PARAMETERS)=
    | ["']?command["']?:\s+(?:\[?["']?(?:postgres|-c)\b)
    | synapse:\s\{image
    )""".replace("PARAMETERS", "|".join(name.replace("_", "[-_]") for name in PARAMETERS)),
    re.VERBOSE | re.IGNORECASE,
)


def changed_lines(before, after):
    """(removed, added) lines of the shortest difference."""
    removed, added = [], []
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for what, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what != "equal":
            removed += old[a:b]
            added += new[c:d]
    return removed, added


def environment_of(service):
    found = service.get("environment") or {}
    if isinstance(found, list):
        return dict([*item.split("=", 1), None][:2] for item in found)
    return {key: None if value is None else str(value) for key, value in found.items()}


def arguments_of(service):
    command = service.get("command") or []
    return shlex.split(command) if isinstance(command, str) else [str(word) for word in command]


def parameters_of(arguments):
    """(what the arguments set, the arguments that set something else), read by hand."""
    found, others = {}, []
    rest = [word for word in arguments if word != "postgres"]
    short = {"-N": "max_connections", "-B": "shared_buffers"}
    while rest:
        word = rest.pop(0)
        if word == "-c" or word in short:
            value = rest.pop(0)
            name, _equals, value = value.partition("=") if word == "-c" else (short[word], "", value)
        elif word.startswith(("--", "-c")):
            name, _equals, value = word[2:].partition("=")
        else:
            others.append(word)
            continue
        name = name.replace("-", "_").lower()
        if name in PARAMETERS:
            found[name] = value
        else:
            others.append(f"{name}={value}")
    return found, others


def without_levers(service):
    """A service's data, less what the plan owns."""
    service = copy.deepcopy(service)
    for key in ("mem_limit", "mem_reservation", "shm_size"):
        service.pop(key, None)
    service["environment"] = {k: v for k, v in environment_of(service).items() if k not in SYNAPSE_ENVIRONMENT}
    service["command"] = parameters_of(arguments_of(service))[1]
    resources = service.setdefault("deploy", {}).setdefault("resources", {})
    for key in ("limits", "reservations"):
        (resources.get(key) or {}).pop("memory", None)
        if not resources.get(key):
            resources.pop(key, None)
    return service


def tuned(case, folder, **options):
    path = case.install(folder)
    change = prepare(case.request(folder, **options))
    assert change.path == str(path)
    return change


# -- every file ------------------------------------------------------------------------------------------------


@every_case
def test_only_owned_lines_differ(case, tmp_path):
    change = tuned(case, tmp_path)
    removed, added = changed_lines(change.before, change.after)
    # At the end of a file without a last newline the old last line gets one.
    if removed and removed[0] + "\n" in added:
        added.remove(removed.pop(0) + "\n")
    strangers = [line for line in removed + added if not OWNED.match(line)]
    if case.name == "double_quoted.yml":  # the second line of the command
        strangers = [line for line in strangers if not line.startswith("      -c max_connections=")]
    assert strangers == []
    assert len(added) >= 5
    # A comment on a changed line stays on it.
    for line in removed:
        comment = re.search(r"\s#.*", line)
        assert comment is None or comment.group() in "".join(added)


@every_case
def test_line_endings_byte_order_mark_and_end_stay(case, tmp_path):
    change = tuned(case, tmp_path)
    assert change.before == case.text
    assert change.after.startswith("\ufeff") == change.before.startswith("\ufeff")
    assert change.after.endswith("\n") == change.before.endswith("\n")
    for text in (change.before, change.after):
        assert text.count("\r\n") == (text.count("\n") if ".crlf." in case.name else 0)


@every_case
def test_the_data_is_what_was_meant_and_nothing_else(case, tmp_path):
    change = tuned(case, tmp_path)
    before, after = (list(yaml.safe_load_all(text.lstrip("\ufeff"))) for text in (change.before, change.after))
    assert before[1:] == after[1:]
    old, new = before[0].pop("services"), after[0].pop("services")
    assert before[0] == after[0]
    assert list(old) == list(new)
    for name in old:
        if name in (case.synapse, case.db, *case.followers):
            assert without_levers(old[name]) == without_levers(new[name])
        else:
            assert old[name] == new[name]


@every_case
def test_the_second_run_changes_nothing(case, tmp_path):
    change = tuned(case, tmp_path)
    write(change, keep=NOTHING)
    again = prepare(case.request(tmp_path))
    assert not again.changed
    assert [lever for lever in again.levers if lever["differs"]] == []
    assert again.restarts == ()
    assert [lever["lever"] for lever in again.levers] == [lever["lever"] for lever in change.levers]


@every_case
def test_levers_and_restarts(case, tmp_path):
    change = tuned(case, tmp_path)
    assert (change.synapse_service, change.db_service) == (case.synapse, case.db)
    names = [(lever["service"], lever["lever"]) for lever in change.levers]
    assert names == [
        (case.synapse, "memory_limit"),
        (case.synapse, "memory_reservation"),
        *((case.synapse, f"environment.{name}") for name in SYNAPSE_ENVIRONMENT),
        (case.db, "memory_limit"),
        (case.db, "memory_reservation"),
        (case.db, "shm_size"),
        *((case.db, f"postgresql.{name}") for name in PARAMETERS),
    ]
    for lever in change.levers:
        assert lever["file"] == "compose"
        assert lever["action"] == ("recreate" if lever["differs"] else "none")
    assert sorted(entry["service"] for entry in change.restarts) == sorted([case.synapse, case.db, *case.followers])
    assert all(entry["action"] == "recreate" and entry["because"] for entry in change.restarts)


@every_case
def test_an_override_file_leaves_the_main_one_alone(case, tmp_path):
    path = case.install(tmp_path)
    options = {"override": True, "dropin": True}
    change = prepare(case.request(tmp_path, **options))
    assert change.path == str(tmp_path / "compose.override.yml")
    assert change.before is None
    assert write(change, keep=KEEP).backup_file is None
    assert path.read_bytes().decode() == case.text
    data = yaml.safe_load(change.after)
    assert list(data) == ["services"]
    assert sorted(data["services"]) == sorted([case.synapse, case.db])
    allowed = {"deploy", "environment", "command", "shm_size", "mem_limit", "mem_reservation"}
    assert all(set(service) <= allowed for service in data["services"].values())
    assert "homeserver.tuning.yaml" in arguments_of(data["services"][case.synapse])[-1]
    again = prepare(case.request(tmp_path, **options))
    assert not again.changed
    assert [lever for lever in again.levers if lever["differs"]] == []


@every_case
def test_secrets_are_masked_in_the_diff(case, tmp_path):
    change = tuned(case, tmp_path)
    shown = change.diff()
    secrets = re.findall(
        r"(?:PASSWORD|SHARED_SECRET|_SECRET)\"?[:=] ?[\"']?([\w-]{6,})|users=admin:(\S{20,})\"|auth-secret=(\w+)|:exporter:?(\S+)@",
        case.text,
    )
    for secret in filter(None, (each for found in secrets for each in found)):
        assert secret not in shown["before"]
        assert secret not in shown["after"]
    assert shown["before_header"] == shown["after_header"] == change.path


# -- the forms of one lever --------------------------------------------------------------------------------------

SYNAPSE = "  synapse:\n    image: matrixdotorg/synapse:v1.163.2\n"
DB = "  db:\n    image: postgres:17\n"


@pytest.fixture
def project(tmp_path):
    """Write a compose file (and others), and plan its change."""

    def make(text, *, files=None, **options):
        for name, content in {"compose.yml": text, **(files or {})}.items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        return prepare(Request(**{"plan": sample_plan(), "project_dir": str(tmp_path), **options}))

    return make


def services_of(change):
    return yaml.safe_load(change.after)["services"]


def lever(change, name, service="db"):
    return next(each for each in change.levers if (each["service"], each["lever"]) == (service, name))


def test_images_are_named_with_their_variables_filled_in(project):
    change = project(
        "services:\n  s: {image: 'matrixdotorg/synapse:${VERSION}'}\n  d: {image: postgres:16}\n",
        files={".env": "VERSION=v1.149.1\n"},
    )
    assert change.images == {"synapse": "matrixdotorg/synapse:v1.149.1", "postgresql": "postgres:16"}


@pytest.mark.parametrize("limit", ["1G", "1g", "1024m", "1gb", '"1073741824"', "1048576k", "1.0GiB"])
def test_equal_sizes_are_left_as_they_are(project, limit):
    text = f"services:\n{SYNAPSE}    deploy: {{resources: {{limits: {{memory: {limit}}}}}}}\n{DB}"
    change = project(text)
    assert f"memory: {limit}" in change.after
    assert lever(change, "memory_limit", "synapse")["differs"] is False


def test_both_keys_of_a_limit_follow_or_compose_refuses(project):
    change = project(
        f"services:\n{SYNAPSE}    mem_limit: 2g\n    deploy: {{resources: {{limits: {{memory: 2G}}}}}}\n{DB}"
    )
    synapse = services_of(change)["synapse"]
    assert synapse["mem_limit"] == synapse["deploy"]["resources"]["limits"]["memory"] == "1G"


def test_format_2_gets_its_own_keys(project):
    services = services_of(project(f'version: "2.4"\nservices:\n{SYNAPSE}{DB}'))
    assert services["synapse"]["mem_limit"] == "1G"
    assert services["db"]["mem_reservation"] == "256M"
    assert "deploy" not in services["synapse"]


@pytest.mark.parametrize("value", ["0.2", '"0.2"', "'0.2'", "${FACTOR:-0.2}"])
def test_an_equal_variable_is_left_as_it_is(project, value):
    change = project(f"services:\n{SYNAPSE}    environment:\n      SYNAPSE_CACHE_FACTOR: {value}\n{DB}")
    assert f"SYNAPSE_CACHE_FACTOR: {value}\n" in change.after


def test_a_changed_variable_stays_a_string(project):
    change = project(f"services:\n{SYNAPSE}    environment:\n      SYNAPSE_CACHE_FACTOR: 0.5\n{DB}")
    assert services_of(change)["synapse"]["environment"]["SYNAPSE_CACHE_FACTOR"] == "0.2"


@pytest.mark.parametrize("item", ["SYNAPSE_CACHE_FACTOR=0.5", "SYNAPSE_CACHE_FACTOR"])
def test_a_listed_variable_is_set_where_it_stands(project, item):
    change = project(f"services:\n{SYNAPSE}    environment:\n      - '{item}'\n      - A=1\n{DB}")
    assert services_of(change)["synapse"]["environment"][:2] == ["SYNAPSE_CACHE_FACTOR=0.2", "A=1"]
    assert "'SYNAPSE_CACHE_FACTOR=0.2'" in change.after


def test_of_a_variable_that_is_listed_twice_the_last_one_counts(project):
    text = f"services:\n{SYNAPSE}    environment: [MALLOC_CONF=a, SYNAPSE_CACHE_FACTOR=0.2, MALLOC_CONF=b]\n{DB}"
    change = project(text)
    assert lever(change, "environment.MALLOC_CONF", "synapse")["current"] == "b"
    items = services_of(change)["synapse"]["environment"]
    assert items[:2] == ["MALLOC_CONF=a", "SYNAPSE_CACHE_FACTOR=0.2"]
    assert environment_of({"environment": items})["MALLOC_CONF"] == SYNAPSE_ENVIRONMENT["MALLOC_CONF"]


@pytest.mark.parametrize(
    "environment", ["[PYTHONMALLOC=malloc, PYTHONMALLOC=debug, A=1]", "{PYTHONMALLOC: malloc, A: '1'}"]
)
def test_a_variable_that_must_be_absent_goes(project, environment):
    change = project(f"services:\n{SYNAPSE}    environment: {environment}\n{DB}")
    assert "PYTHONMALLOC" not in change.after
    assert environment_of(services_of(change)["synapse"])["A"] == "1"
    seen = lever(change, "environment.PYTHONMALLOC", "synapse")
    assert seen["differs"] is True
    assert seen["planned"] is None


def test_an_absent_variable_is_no_difference(project):
    assert lever(project(f"services:\n{SYNAPSE}{DB}"), "environment.PYTHONMALLOC", "synapse")["differs"] is False


def test_a_variable_that_comes_by_an_anchor_goes_for_this_service_only(project):
    text = f"x-env: &env\n  PYTHONMALLOC: malloc\n  A: '1'\nservices:\n{SYNAPSE}    environment: *env\n{DB}    environment: *env\n"
    services = services_of(project(text))
    assert "PYTHONMALLOC" not in services["synapse"]["environment"]
    assert services["synapse"]["environment"]["A"] == "1"
    assert services["db"]["environment"] == {"PYTHONMALLOC": "malloc", "A": "1"}


def test_a_dollar_in_a_planned_value_is_doubled(project):
    plan = sample_plan()
    plan["compose"]["synapse"]["environment"]["MALLOC_CONF"]["value"] = "a$b"
    change = project(f"services:\n{SYNAPSE}{DB}", plan=plan)
    assert services_of(change)["synapse"]["environment"]["MALLOC_CONF"] == "a$$b"


@pytest.mark.parametrize(
    "command", ["", "    command:\n", "    command: []\n", '    command: ""\n', "    command: postgres\n"]
)
def test_a_command_without_flags_becomes_a_list(project, command):
    arguments = services_of(project(f"services:\n{SYNAPSE}{DB}{command}"))["db"]["command"]
    assert arguments[:3] == ["postgres", "-c", "shared_buffers=256MB"]
    assert parameters_of(arguments)[0] == {name: str(value) for name, value in PARAMETERS.items()}


def test_values_of_the_plan_become_words():
    plan = sample_plan()
    plan["postgresql"] = {
        name: {"value": value}
        for name, value in {"a": True, "b": False, "c": 1.1, "d": 200, "e": 4.0, "f": "1GB"}.items()
    }
    assert dict(_compose_file._Plan.read(plan).parameters) == {
        "a": "on",
        "b": "off",
        "c": "1.1",
        "d": "200",
        "e": "4",
        "f": "1GB",
    }


def test_a_parameter_that_must_be_absent_goes(project):
    plan = sample_plan()
    plan["postgresql"]["huge_pages"] = {"value": None, "unit": "", "why": "", "source": ""}
    text = f"services:\n{SYNAPSE}{DB}    command:\n      - postgres\n      - -c\n      - huge_pages=on\n      - --port=5433\n"
    change = project(text, plan=plan)
    assert "huge_pages" not in change.after
    assert services_of(change)["db"]["command"][:2] == ["postgres", "--port=5433"]


# -- what is refused, with nothing written ---------------------------------------------------------------------


def refused(kind, action, *words):
    with pytest.raises(kind) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


@pytest.mark.parametrize(
    "command, said",
    [
        ('sh -c "postgres -c a=b"', "starts 'sh', not 'postgres'"),
        ("[bash, -c, exec postgres]", "starts 'bash'"),
        ("postgres -c a=b; true", "shell operator ';'"),
        ("postgres -c a=b extra", "'extra'"),
    ],
)
@pytest.mark.parametrize("override", [False, True])
def test_a_command_that_cannot_be_edited(project, command, said, override):
    text = f"services:\n{SYNAPSE}{DB}    command: {command}\n"
    refused(ServiceError, lambda: project(text, override=override), "compose", "service 'db'", said)


def test_an_entrypoint_of_one_s_own(project):
    text = f'services:\n{SYNAPSE}{DB}    entrypoint: ["/wait-for.sh", "docker-entrypoint.sh"]\n'
    refused(ServiceError, lambda: project(text), "service 'db'", "overrides the image's entrypoint")
    assert project(text.replace('"/wait-for.sh", ', "")).changed


def test_the_image_s_own_entrypoint_is_none_of_one_s_own(project):
    assert project(f"services:\n{SYNAPSE}{DB}    entrypoint: /usr/local/bin/docker-entrypoint.sh\n").changed


@pytest.mark.parametrize(
    "text, kind, said",
    [
        ("services:\n  synapse:\n    image: a\n   bad: b\n", YamlProblem, "compose.yml:4:"),
        ("services:\n  a: {}\n  a: {}\n", YamlProblem, "compose.yml:3:3: the key 'a' is there twice"),
        ("- a\n- b\n", YamlProblem, "not a mapping"),
        ("just text\n", YamlProblem, "not a mapping"),
        ("", ServiceError, "it has no services"),
        ("services:\n", ServiceError, "it has no services"),
        ("services: []\n", ServiceError, "it has no services"),
        ("include: [other.yml]\n", ServiceError, "name one that it includes with path"),
        ("services:\n  db:\n    image: postgres\n", ServiceError, "no service has Synapse's image"),
        (f"services:\n{SYNAPSE}", ServiceError, "no service has PostgreSQL's image"),
        (f"services:\n{SYNAPSE}{DB}{DB.replace('db', 'db2')}", ServiceError, "db, db2"),
        (f"services:\n{SYNAPSE}{SYNAPSE.replace('synapse:', 'two:', 1)}{DB}", ServiceError, "synapse, two"),
    ],
)
def test_bad_files(project, tmp_path, text, kind, said):
    message = refused(kind, lambda: project(text), said)
    assert message.startswith(str(tmp_path / "compose.yml"))
    assert (tmp_path / "compose.yml").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["compose.yml"]


def test_one_service_cannot_be_both(project):
    text = f"services:\n{SYNAPSE}{DB}"
    refused(ServiceError, lambda: project(text, db_service="synapse"), "both name 'synapse'")


def test_a_named_service_that_is_empty(project):
    refused(ServiceError, lambda: project(f"services:\n  x:\n{SYNAPSE}{DB}", synapse_service="x"), "'x' is empty")


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"schema_version": 2},
        {"schema_version": 1},
        {
            "schema_version": 1,
            "compose": {"synapse": {"memory_limit": "1G"}, "postgresql": {}},
            "postgresql": {},
            "homeserver": {},
        },
        {"schema_version": 1, "compose": None, "postgresql": {}, "homeserver": {}},
        {"schema_version": 1, "compose": {"synapse": {}, "postgresql": {}}, "postgresql": {"a": 1}, "homeserver": {}},
    ],
)
def test_what_is_not_a_plan(project, plan):
    refused(PlanError, lambda: project(f"services:\n{SYNAPSE}{DB}", plan=plan), "the plan", "plan_info")


def test_only_what_the_plan_holds_is_looked_for(project):
    change = project(f"services:\n{SYNAPSE}", plan=sample_plan(postgresql=False))
    assert (change.synapse_service, change.db_service) == ("synapse", None)
    change = project(f"services:\n{DB}", plan=sample_plan(synapse=False))
    assert (change.synapse_service, change.db_service) == (None, "db")
    assert {each["service"] for each in change.levers} == {"db"}


# -- writing -----------------------------------------------------------------------------------------------------


def test_a_backup_holds_the_file_as_it_was_and_the_mode_stays(project, tmp_path):
    change = project(f"services:\n{SYNAPSE}{DB}")
    path = tmp_path / "compose.yml"
    path.chmod(0o640)
    if ROOT:
        os.chown(path, NOBODY, NOBODY)
    backup = write(change, keep=KEEP).backup_file
    assert path.read_text() == change.after
    assert re.fullmatch(r"compose\.yml\.\d{8}T\d{6}\.\d{6}Z\.bak", os.path.basename(backup))
    assert (tmp_path / os.path.basename(backup)).read_text() == change.before
    for each in (path, backup):
        found = os.stat(each)
        assert stat.S_IMODE(found.st_mode) == 0o640
        assert not ROOT or (found.st_uid, found.st_gid) == (NOBODY, NOBODY)


def test_a_new_override_file_is_the_owner_s_as_the_main_one(project, tmp_path):
    change = project(f"services:\n{SYNAPSE}{DB}", override=True)
    (tmp_path / "compose.yml").chmod(0o600)
    write(change, keep=KEEP)
    assert stat.S_IMODE((tmp_path / "compose.override.yml").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("*.override.yml.*")] == [f"compose.override.yml.{KEEP.run}.absent"]


def test_an_override_file_that_appears_meanwhile_is_not_touched(project, tmp_path):
    change = project(f"services:\n{SYNAPSE}{DB}", override=True)
    (tmp_path / "compose.override.yml").write_text("mine\n")
    refused(FileProblem, lambda: write(change, keep=KEEP), "appeared", "run again")
    assert (tmp_path / "compose.override.yml").read_text() == "mine\n"


@pytest.fixture
def open_folder():
    """A directory that every user may enter and none but its owner write, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        yield pathlib.Path(name)
        os.chmod(name, 0o755)


@pytest.mark.parametrize("override", [False, True])
@pytest.mark.parametrize("mode", [0o555, 0o000])
@ignore_fork_warning
def test_a_directory_that_is_not_writable(open_folder, override, mode):
    text = f"services:\n{SYNAPSE}{DB}"
    (open_folder / "compose.yml").write_text(text)
    change = prepare(Request(plan=sample_plan(), project_dir=str(open_folder), override=override))
    open_folder.chmod(mode)
    message = refused(FileProblem, lambda: in_child(lambda: write(change, keep=KEEP), user=NOBODY))
    assert message.lower().count("permission denied") == 1
    assert "become" in message
    open_folder.chmod(0o755)
    assert (open_folder / "compose.yml").read_text() == text
    assert [path.name for path in open_folder.iterdir()] == ["compose.yml"]


def test_a_file_that_is_not_text(project, tmp_path):
    (tmp_path / "compose.yaml").write_bytes(b"services:\n  caf\xe9: {}\n")
    refused(TuningError, lambda: project(f"services:\n{SYNAPSE}{DB}"), "compose.yaml:2: not UTF-8")


# -- override ----------------------------------------------------------------------------------------------------


def test_an_override_file_of_another_name_is_edited_in_place(project, tmp_path):
    mine = (
        "# mine\nservices:\n  synapse:\n    labels: [a=b]   # keep\n    environment:\n      SYNAPSE_CACHE_FACTOR: '3'\n"
    )
    change = project(
        f"services:\n{SYNAPSE}{DB}", files={"docker-compose.override.yaml": mine}, override=True, dropin=True
    )
    assert change.path == str(tmp_path / "docker-compose.override.yaml")
    assert change.after.startswith(mine.replace("'3'", "'0.2'"))
    assert lever(change, "environment.SYNAPSE_CACHE_FACTOR", "synapse")["current"] == "3"
    assert write(change, keep=KEEP).backup_file is not None


def test_an_override_holds_only_what_differs(project):
    main = f"services:\n{SYNAPSE}    deploy: {{resources: {{limits: {{memory: 1024m}}}}}}\n{DB}    shm_size: 256mb\n"
    services = services_of(project(main, override=True))
    assert services["synapse"]["deploy"] == {"resources": {"reservations": {"memory": "512M"}}}
    assert "shm_size" not in services["db"]


def test_nothing_to_override_makes_no_file(project):
    plan = sample_plan(synapse=False)
    plan["postgresql"] = {}
    plan["compose"]["postgresql"] = {"shm_size": {"value": "256m"}}
    change = project(f"services:\n{DB}    shm_size: 256m\n", plan=plan, override=True)
    assert not change.changed


def test_an_override_s_command_holds_the_whole_of_the_main_one(project):
    main = f"services:\n{SYNAPSE}{DB}    command: postgres -c log_statement=ddl -c jit=off -p 5433\n"
    assert services_of(project(main, override=True))["db"]["command"][:7] == [
        "postgres",
        "-c",
        "log_statement=ddl",
        "-c",
        "jit=off",
        "-p",
        "5433",
    ]


def test_what_an_override_s_command_hides(project):
    main = f"services:\n{SYNAPSE}{DB}    command: postgres -c log_statement=ddl -c jit=on -c a=1\n"
    override = "services:\n  db:\n    command: postgres -c a=1 -c mine=2\n"
    change = project(main, files={"compose.override.yml": override}, override=True)
    assert "does not set log_statement as the main file does" in only(change, "replaces the command")
    assert change.after.count("mine=2") == 1
    assert project(main, files={"compose.override.yml": "services: {}\n"}, override=True).warnings == ()


def test_a_variable_of_the_main_file_is_unset(project):
    main = f"services:\n{SYNAPSE}    environment: [PYTHONMALLOC=debug]\n{DB}"
    change = project(main, override=True)
    environment = services_of(change)["synapse"]["environment"]
    assert "PYTHONMALLOC" in environment
    assert environment["PYTHONMALLOC"] is None


@pytest.mark.parametrize(
    "service, arguments",
    [
        ("", ["run", "--config-path", "/data/homeserver.yaml", "--config-path", "/data/homeserver.tuning.yaml"]),
        (
            "    environment: [SYNAPSE_CONFIG_PATH=/conf/hs.yaml]\n",
            ["run", "--config-path", "/conf/hs.yaml", "--config-path", "/conf/homeserver.tuning.yaml"],
        ),
        (
            "    environment: {SYNAPSE_CONFIG_DIR: /conf}\n",
            ["run", "--config-path", "/conf/homeserver.yaml", "--config-path", "/conf/homeserver.tuning.yaml"],
        ),
        (
            "    command: run --config-path=/a/hs.yaml --config-path=/a/mas.yaml\n",
            [
                "run",
                "--config-path=/a/hs.yaml",
                "--config-path=/a/mas.yaml",
                "--config-path=/a/homeserver.tuning.yaml",
            ],
        ),
        (
            "    command: [run, -m, synapse.app.homeserver]\n",
            [
                "run",
                "-m",
                "synapse.app.homeserver",
                "--config-path",
                "/data/homeserver.yaml",
                "--config-path",
                "/data/homeserver.tuning.yaml",
            ],
        ),
        (
            "    entrypoint: python -m synapse.app.homeserver\n    command: -c /data/hs.yaml\n",
            ["-c", "/data/hs.yaml", "--config-path", "/data/homeserver.tuning.yaml"],
        ),
    ],
)
def test_the_drop_in_is_loaded_last(project, service, arguments):
    change = project(f"services:\n{SYNAPSE}{service}{DB}", override=True, dropin=True)
    assert services_of(change)["synapse"]["command"] == arguments
    seen = lever(change, "homeserver_dropin", "synapse")
    assert seen["differs"] is True
    assert seen["planned"] == arguments[-1].rpartition("=")[2]


@pytest.mark.parametrize(
    "service, said",
    [
        ("    command: sleep infinity\n", "starts 'sleep', not 'run'"),
        ("    entrypoint: /my-start.sh\n", "overrides the image's entrypoint"),
    ],
)
def test_a_command_that_loads_something_unknown(project, service, said):
    text = f"services:\n{SYNAPSE}{service}{DB}"
    refused(ServiceError, lambda: project(text, override=True, dropin=True), said, "homeserver_dropin")
    assert project(text, override=True).changed


def test_the_drop_in_in_place(project):
    change = project(f"services:\n{SYNAPSE}{DB}", dropin=True)
    assert services_of(change)["synapse"]["command"][-1] == "/data/homeserver.tuning.yaml"
    assert "command" not in services_of(project(f"services:\n{SYNAPSE}{DB}"))["synapse"]


# -- warnings ------------------------------------------------------------------------------------------------------


def only(change, word):
    found = [text for text in change.warnings if word in text]
    assert len(found) == 1, change.warnings
    assert "\n" not in found[0]
    return found[0]


def test_a_plain_project_has_no_warning(project):
    assert project(f"services:\n{SYNAPSE}    depends_on: [db]\n{DB}").warnings == ()


@pytest.mark.parametrize(
    "image, expected",
    [
        ("matrixdotorg/synapse:v1.145.0", ["looping calls leak memory", "security"]),
        ("matrixdotorg/synapse:v1.149.1-py3.13", ["security"]),
        ("${IMG:-matrixdotorg/synapse}:${TAG:-v1.149.1}", ["security"]),
        ("matrixdotorg/synapse:latest", []),
        ("matrixdotorg/synapse:develop", []),
        ("matrixdotorg/synapse", []),
        ("matrixdotorg/synapse@sha256:0123", []),
        ("matrixdotorg/synapse:v1.163.2", []),
    ],
)
def test_releases(project, image, expected):
    warnings = project(f"services:\n  synapse:\n    image: {image}\n{DB}").warnings
    assert len(warnings) == len(expected)
    assert all(word in text for word, text in zip(expected, warnings))


def test_fewer_connections_than_others_may_need(project):
    others = "  bridge:\n    image: b\n    depends_on: [db]\n  mas:\n    image: m\n    depends_on: {db: {condition: service_started}}\n"
    text = f"services:\n{SYNAPSE}    depends_on: [db]\n{DB}{others}"
    warning = only(project(text), "max_connections")
    assert "from 100 to 30" in warning
    assert "bridge, mas" in warning
    assert "synapse_tuning_extra_connections" in warning
    assert project(text.replace("postgres:17", "postgres:17\n    command: postgres -N 20")).warnings == ()


def test_an_override_file_that_wins(project):
    override = (
        "services:\n  synapse:\n    environment: [SYNAPSE_CACHE_FACTOR=2]\n    mem_limit: 1024m\n"
        "  db:\n    shm_size: 64m\n    command: postgres -c jit=off\n  other: {image: x}\n"
    )
    change = project(f"services:\n{SYNAPSE}{DB}", files={"docker-compose.override.yml": override})
    synapse = only(change, "of service 'synapse'")
    assert "docker-compose.override.yml sets environment.SYNAPSE_CACHE_FACTOR of service" in synapse
    db = only(change, "of service 'db'")
    assert "shm_size, postgresql.shared_buffers" in db
    assert "postgresql.jit" not in db
    assert "wins over" in db


def test_an_override_file_that_agrees_is_no_warning(project):
    override = "services:\n  synapse:\n    labels: [a=b]\n  db:\n    shm_size: 256mb\n"
    assert project(f"services:\n{SYNAPSE}{DB}", files={"compose.override.yml": override}).warnings == ()


def test_an_override_file_with_a_shell_command_wins_too(project):
    override = "services:\n  db:\n    command: sh -c 'postgres'\n"
    assert "replaces the command of service 'db'" in only(
        project(f"services:\n{SYNAPSE}{DB}", files={"compose.override.yml": override}), "compose.override.yml"
    )


def test_compose_file_in_dotenv(project):
    files = {".env": "COMPOSE_FILE=compose.yml:more.yml\n", "more.yml": "services:\n  db:\n    shm_size: 1g\n"}
    change = project(f"services:\n{SYNAPSE}{DB}", files=files)
    assert "more.yml sets shm_size of service 'db'" in only(change, "more.yml")
    change = project(f"services:\n{SYNAPSE}{DB}", files=files, override=True)
    assert "COMPOSE_FILE in .env does not list" in only(change, "does not list")


def test_an_override_beside_a_file_of_another_name_is_not_read_by_itself(project, tmp_path):
    (tmp_path / "stack.yml").write_text(f"services:\n{SYNAPSE}{DB}")
    change = prepare(Request(plan=sample_plan(), path=str(tmp_path / "stack.yml"), override=True))
    assert f"docker compose -f {tmp_path / 'stack.yml'} -f {tmp_path / 'compose.override.yml'} up -d" in only(
        change, "-f"
    )


def test_variables_that_are_replaced(project):
    files = {".env": "SHM=64m\nPG=256MB\n"}
    text = f"services:\n{SYNAPSE}{DB}    shm_size: ${{SHM}}\n    command: postgres -c shared_buffers=${{PG}}\n"
    change = project(text, files=files)
    assert "took shm_size from ${SHM}" in only(change, "from $")
    assert lever(change, "shm_size")["current"] == "64m"
    assert "-c shared_buffers=${PG} " in change.after


def test_workers_are_left_alone(project):
    worker = "  w1:\n    image: matrixdotorg/synapse\n    environment: [SYNAPSE_WORKER=synapse.app.generic_worker]\n"
    change = project(f"services:\n{SYNAPSE}{worker}{DB}")
    assert "(w1)" in only(change, "workers of 'synapse'")
    assert worker in change.after


def test_services_that_follow_by_extends(project):
    text = f"services:\n{SYNAPSE}{DB}  db2:\n    extends: db\n  db3:\n    extends: {{service: db, file: x.yml}}\n"
    change = project(text, db_service="db")
    assert only(change, "shares settings").startswith("db2: ")
    assert [entry["service"] for entry in change.restarts] == ["synapse", "db", "db2"]


def test_an_env_file_that_sets_what_must_be_absent(project):
    files = {"synapse.env": "PYTHONMALLOC=malloc\nSYNAPSE_CACHE_FACTOR=3\n"}
    text = f"services:\n{SYNAPSE}    env_file: [{{path: synapse.env}}, missing.env]\n{DB}"
    assert "synapse.env sets PYTHONMALLOC" in only(project(text, files=files), "synapse.env")


@pytest.mark.parametrize(
    "more", ["    ipc: host\n", "    tmpfs: /dev/shm:size=1g\n", "    volumes: [{type: tmpfs, target: /dev/shm}]\n"]
)
def test_shared_memory_that_is_not_docker_s(project, more):
    assert "shm_size has no effect" in only(project(f"services:\n{SYNAPSE}{DB}{more}"), "shm_size")


@pytest.mark.parametrize("swap, count", [("512m", 1), ("2g", 0), ("-1", 0), ("0", 0)])
def test_swap_below_the_limit(project, swap, count):
    warnings = project(f"services:\n{SYNAPSE}    mem_limit: 256m\n    memswap_limit: {swap}\n{DB}").warnings
    assert len([text for text in warnings if "memswap_limit" in text]) == count


def test_a_configuration_file_of_postgresql(project):
    text = f"services:\n{SYNAPSE}{DB}    command: -c config_file=/etc/pg.conf\n"
    assert "win over /etc/pg.conf" in only(project(text), "pg.conf")
