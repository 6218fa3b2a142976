# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report of a measurement says, as a page and as a text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from html.parser import HTMLParser
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measurements import MEASUREMENTS
from sample_measurement import MIB, sample_measurement, sample_room, thrashing
from simulated_server import HOUR, Load, Server

from ansible_collections.synapse.tuning.plugins.module_utils._core import figures
from ansible_collections.synapse.tuning.plugins.module_utils._core.budget_use import Use, budget_use
from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_use import cache_use
from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_verdicts import THRASHES, verdict
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import (
    MeasurementError,
    PlanError,
    SourceError,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.html_report import html_report
from ansible_collections.synapse.tuning.plugins.module_utils._core.known_plan import KnownPlan
from ansible_collections.synapse.tuning.plugins.module_utils._core.markup import Markup, element, escape
from ansible_collections.synapse.tuning.plugins.module_utils._core.measure_report import WIDTH, measure_report
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import CacheUse, Evictions, Measurement
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_findings import Findings, find
from ansible_collections.synapse.tuning.plugins.module_utils._core.plan import make_plan
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import Room
from ansible_collections.synapse.tuning.plugins.module_utils._core.steps import Step, playbook

PLAN = make_plan(Inputs(users=5, ram=2048 * MIB, postgresql_version=15))
LATER = "2026-11-28T19:40:00Z"
VOID = {"br", "meta"}


class Page(HTMLParser):
    """Reads a page strictly: every element that begins ends, in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _value in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def findings(
    measurement: dict[str, Any], *, before: Any = None, plan: Any = PLAN, rooms: Any = (), **more: Any
) -> Findings:
    return find(
        Measurement.from_data(measurement),
        before=before and Measurement.from_data(before),
        plan=plan and KnownPlan.from_data(plan),
        rooms=[Room.from_data(room) for room in rooms],
        **more,
    )


def uses(measurement: dict[str, Any], plan: Any = PLAN) -> list[Use]:
    return budget_use(Measurement.from_data(measurement), KnownPlan.from_data(plan))


def steps(**at: Any) -> list[Step]:
    return list(findings(sample_measurement(**at)).steps)


def titles(found: list[Step]) -> list[str]:
    return [step.title for step in found]


# --- nothing becomes markup --------------------------------------------------------------------

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'</title></style></svg>&lt;"


def hostile(text: str) -> str:
    """A page in which every text that comes from elsewhere is this one."""
    measurement = sample_measurement(
        taken_at=LATER,
        synapse__version=text,
        postgresql__version=text,
        synapse__container__name=text,
        synapse__container__restarts=2,
        kernel_oom=[text],
        missing={text: text},
    )
    measurement["synapse"]["caches"].append(thrashing(text))
    measurement["postgresql"]["autovacuum"]["tables"] = [{"table": text, "dead": 10**6, "live": 1, "last": text}]
    rooms = [
        sample_room(room_id=text, name=text, canonical_alias=text, version=text, local_members=0),
        sample_room(room_id=text, name=text, canonical_alias=None, state_rows=10**7),
    ]
    plan = {**PLAN, "budget": [*PLAN["budget"], {"component": f"postgresql_{text}", "bytes": 1, "why": text}]}
    found = findings(measurement, plan=plan, before=sample_measurement(), rooms=rooms, host=text)
    assert any(text in step.title for step in found.steps)
    return html_report(found)


ELEMENTS = Page(hostile("harmless")).names


def test_hostile_texts_stay_texts() -> None:
    page = Page(hostile(HOSTILE))
    assert page.names <= ELEMENTS
    assert "script" not in page.names and "img" not in page.names
    assert not {name for name in page.attributes if name.startswith("on") or name in ("src", "href", "style")}
    assert page.text.count(HOSTILE) >= 8


@given(text=st.text(alphabet=st.characters(), max_size=30))
def test_any_text_stays_a_text(text: str) -> None:
    written = hostile("a" + text)
    # Halves of characters can't be written to a file.
    written.encode("utf-8")
    assert Page(written).names <= ELEMENTS


def test_what_turns_lines_or_ends_them_is_gone() -> None:
    assert escape("a\u202eb\x00c\x1b[31md\ud800e\u2028f") == "a b c [31md e f"


def test_only_markup_is_markup() -> None:
    assert element("p", "<b>", Markup("<i></i>"), title='"', hidden=True, class_=None) == (
        '<p title="&quot;" hidden>&lt;b&gt;<i></i></p>'
    )


def test_the_policy_knows_the_style_and_nothing_else() -> None:
    page = html_report(findings(sample_measurement()))
    style = re.search("<style>(.*?)</style>", page, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in page
    assert "url(" not in style[1] and "@import" not in style[1]


@given(identifier=st.text(max_size=20))
def test_a_command_can_be_pasted(identifier: str) -> None:
    command = playbook("rooms", synapse_tuning_rooms_purge=["!" + identifier])
    assert command.isprintable() and command.isascii()
    assert json.loads(shlex.split(command)[-1]) == {"synapse_tuning_rooms_purge": ["!" + identifier]}


# --- what is not known --------------------------------------------------------------------------


def paths(value: Any, way: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [way]
    return [found for name, each in value.items() for found in paths(each, (*way, name))] + ([way] if way else [])


WHOLE = [
    way
    for way in paths(sample_measurement())
    if way not in {("schema_version",), ("taken_at",), ("host",), ("synapse",), ("postgresql",), ("missing",)}
]


def nothing_known() -> dict[str, Any]:
    """A measurement with no source."""
    return {
        "schema_version": 1,
        "taken_at": LATER,
        "samples": 1,
        "duration": 0.0,
        "host": sample_measurement()["host"],
        "synapse": {"processes": [], "gc": [], "caches": []},
        "postgresql": {"backends": []},
        "kernel_oom": [],
        "missing": {"engine": "the Docker Engine does not answer"},
    }


def test_a_measurement_without_any_source_is_a_report() -> None:
    found = findings(nothing_known(), plan=None)
    page = Page(html_report(found))
    assert "the Docker Engine does not answer" in page.text
    assert "There is no plan.json" in page.text
    assert titles(list(found.steps)) == ["There is no plan yet", "Not measured: engine"]
    assert figures.UNKNOWN in page.text and "None" not in page.text and "nan" not in page.text
    assert all(len(line) <= WIDTH for line in measure_report(found) if "ansible" not in line)


@given(data=st.data())
def test_any_figure_may_be_missing_or_huge(data: st.DataObject) -> None:
    measurement, was_refused = sample_measurement(taken_at=LATER), None
    for way in data.draw(st.lists(st.sampled_from(WHOLE), max_size=12)):
        place = measurement
        for key in way[:-1]:
            place = place[key] if isinstance(place, dict) and key in place else {}
        if isinstance(place, dict):
            place[way[-1]] = data.draw(st.sampled_from([None, 0, 2**63, 10**18]))
    try:
        found = findings(
            measurement,
            plan=data.draw(st.sampled_from([PLAN, None])),
            before=sample_measurement(),
            rooms=[{"room_id": "!bare:x"}, sample_room()],
        )
    except MeasurementError as error:
        was_refused = str(error)
    if was_refused is not None:
        # Some figures are always there.
        assert was_refused.startswith("measurement") and "\n" not in was_refused
        return
    assert "None" not in Page(html_report(found)).text
    measure_report(found)


@given(measured=MEASUREMENTS, before=MEASUREMENTS)
def test_every_measurement_is_a_report(measured: Measurement, before: Measurement) -> None:
    found = find(measured, before=before, plan=KnownPlan.from_data(PLAN))
    Page(html_report(found))
    measure_report(found)


@pytest.mark.parametrize(
    "plan", [7, {"plan": PLAN}, {**PLAN, "budget": None}, {**PLAN, "host": {**PLAN["host"], "ram": -1}}]
)
def test_what_is_no_plan_is_refused(plan: Any) -> None:
    with pytest.raises(PlanError, match=r"^this is no plan, .*: plan again, or leave the plan out$"):
        KnownPlan.from_data(plan)


@pytest.mark.parametrize("room", [{}, {**sample_room(), "known": "yes"}, {**sample_room(), "events": 10**400}])
def test_what_is_no_room_is_refused(room: Any) -> None:
    with pytest.raises(SourceError, match=r"^room.* as synapse\.tuning\.rooms_info returns them$"):
        Room.from_data(room)


# --- before and after ---------------------------------------------------------------------------


def test_the_first_measurement_has_nothing_to_compare() -> None:
    for before in (None, sample_measurement()):
        found = findings(sample_measurement(), before=before)
        assert found.before is None
        assert "First measurement: nothing to compare yet." in Page(html_report(found)).text
        assert "nothing to compare yet" in measure_report(found)[0]


def test_both_measurements_and_the_difference_are_shown() -> None:
    now = sample_measurement(taken_at=LATER, synapse__container__held=250 * MIB, postgresql__version="17.2")
    found = findings(now, before=sample_measurement())
    text = "\n".join(measure_report(found))
    assert re.search(r"Synapse and PostgreSQL hold +480 +430 +−50.0  MiB", text)
    assert "compared with 2026-11-28 16:40:00 UTC" in text
    assert "PostgreSQL is 17.2 now, and was 15.18." in text
    page = Page(html_report(found)).text
    assert "PostgreSQL is 17.2 now, and was 15.18." in page and "−50.0 MiB, it was 480" in page


def test_a_process_that_has_just_started_is_not_like_one_that_has_not() -> None:
    found = findings(sample_measurement(taken_at=LATER, synapse__uptime=60.0), before=sample_measurement())
    assert "Synapse has run for 1 min, and for 3 h 25 min then" in " ".join(measure_report(found))


# --- budget against use -------------------------------------------------------------------------


def test_each_row_of_the_budget_has_its_use() -> None:
    found = {use.component: use for use in uses(sample_measurement())}
    planned = {row["component"]: row["bytes"] for row in PLAN["budget"]}
    assert {name for name in planned if name not in found} == set()
    held = {name: use.held and use.held / MIB for name, use in found.items()}
    assert held == {
        "synapse": 300,
        "postgresql": 180,
        "postgresql_shared": 70,
        "postgresql_connections": 30,
        "postgresql_maintenance": 6,
        "postgresql_headroom": 30,
        "operating_system": 2048 - 1320 - 480,
        "page_cache": 1320,
    }
    assert found["postgresql"].planned == sum(size for name, size in planned.items() if name.startswith("postgresql_"))
    assert (found["synapse"].peak, found["synapse"].limit) == (420 * MIB, 1024 * MIB)


def test_a_row_that_is_not_measured_is_shown_all_the_same() -> None:
    plan = {**PLAN, "budget": [*PLAN["budget"], {"component": "bridges", "bytes": 5 * MIB, "why": ""}]}
    use = uses(sample_measurement(), plan)[-1]
    assert (use.label, use.planned, use.held) == ("bridges", 5 * MIB, None)


def test_workers_have_a_row_of_their_own() -> None:
    measurement = sample_measurement()
    worker = {**measurement["synapse"]["processes"][0], "name": "worker1", "pid": 99, "pss": 150 * MIB}
    measurement["synapse"]["processes"].append(worker)
    plan = make_plan(Inputs(users=50, ram=4096 * MIB, workers=1))
    found = {use.component: use for use in uses(measurement, plan)}
    assert (found["synapse"].held, found["synapse_workers"].held) == (310 * MIB, 150 * MIB)


def test_a_plan_for_a_part_of_the_host_is_not_held_against_all_of_it() -> None:
    use = {use.component: use for use in uses(sample_measurement(host__total=8192 * MIB))}
    assert (use["operating_system"].held, use["page_cache"].held) == (None, None)
    assert use["operating_system"].note == "not comparable: the plan is for 2 GiB, this host has 8 GiB"


def test_a_container_without_a_limit_has_none() -> None:
    found = findings(sample_measurement(taken_at=LATER, synapse__container__limit=None), before=sample_measurement())
    text = "\n".join(measure_report(found))
    assert re.search(r"limit +1,024 +none +MiB", text)
    assert re.search(r"^Synapse +1,024 +300 +420 +none +29 %$", text, re.MULTILINE)
    assert "inf" not in re.sub("[a-z]inf|inf[a-z]", "", Page(html_report(found)).text)


# --- caches -------------------------------------------------------------------------------------


def test_what_caches_do() -> None:
    measurement = sample_measurement()
    measurement["synapse"]["caches"] += [thrashing("*stateGroupCache*"), thrashing("of_a_fixed_size")]
    found = cache_use(Measurement.from_data(measurement).synapse)
    assert [(cache.name, said) for cache, said in found] == [
        ("*stateGroupCache*", THRASHES),
        ("of_a_fixed_size", "full, and no factor changes its size"),
        ("*getEvent*", "full, but works"),
        ("get_users_in_room", "never full"),
        ("small", "hardly used"),
    ]


def cache(**changes: Any) -> CacheUse:
    figures_ = {"size": 900, "max_size": 1000, "hits": 950, "misses": 50, "evictions": Evictions(size=60), **changes}
    return CacheUse(name="*getEvent*", **figures_)


@pytest.mark.parametrize(
    ("use", "uptime", "said"),
    [
        (cache(), 3600.0, THRASHES),
        (cache(), 3599.0, ""),
        (cache(), None, ""),
        (cache(size=899), 3600.0, ""),
        (cache(evictions=Evictions(size=59)), 3600.0, "full, but works"),
        (cache(), 3700.0, "full, but works"),
        (cache(hits=951, misses=49), 3600.0, "full, but works"),
        (cache(hits=949), 3600.0, "hardly used"),
        (cache(size=199, evictions=Evictions()), 3600.0, "never full"),
        (cache(size=199, evictions=Evictions(size=1)), 3600.0, ""),
        (cache(size=200, evictions=Evictions()), 3600.0, ""),
        (cache(max_size=None), 3600.0, ""),
        (cache(size=None), 3600.0, ""),
    ],
)
def test_verdicts(use: CacheUse, uptime: Optional[float], said: str) -> None:
    assert verdict(use, uptime) == said


@given(working=st.integers(100, 200_000), times=st.integers(2, 20), hours=st.sampled_from([0.5, 1.0, 48.0]))
def test_the_report_and_the_plan_are_of_one_mind(working: int, times: int, hours: float) -> None:
    load = Load(working_sets={"*stateGroupCache*": working}, times=times, uptime=hours * HOUR)
    server = Server().applied(make_plan(Inputs(users=5, ram=8192 * MIB)))
    measured = server.measured(load)
    ((_cache, said),) = cache_use(measured.synapse)
    learned = [each["lever"] for each in make_plan(Inputs(users=5, ram=8192 * MIB), measured)["learned"]]
    assert (said == THRASHES) == ("homeserver.caches.per_cache_factors.*stateGroupCache*" in learned)


def test_it_may_be_too_early() -> None:
    caches = [thrashing("*stateGroupCache*")]
    found = findings(sample_measurement(synapse__caches=caches, synapse__uptime=96.0))
    assert "too early to say whether one thrashes: Synapse has run for 1 min 36 s" in Page(html_report(found)).text
    assert found.steps == ()


# --- what to do next ----------------------------------------------------------------------------


def test_where_nothing_is_wrong_it_says_so() -> None:
    assert steps() == []
    found = findings(sample_measurement())
    assert "Nothing: nothing fails, all parts are within their budget" in Page(html_report(found)).text
    assert any("nothing: nothing fails" in line for line in measure_report(found))


@pytest.mark.parametrize(
    ("at", "title", "figure"),
    [
        ({"synapse__container__oom_kills": 2}, "Synapse was killed for memory 2 times", "Its limit is 1 GiB"),
        ({"kernel_oom": ["Killed python"]}, "The kernel's log has 1 kill for memory", "Killed python"),
        ({"postgresql__container__held_peak": 470 * MIB}, "PostgreSQL is near its limit", "470 MiB of 512 MiB (92 %)"),
        ({"synapse__container__limit": None}, "Synapse has no limit", "Held: Synapse 300 MiB."),
        ({"host__available": 90 * MIB}, "The host has hardly any memory left", "90 MiB of 2 GiB"),
        ({"postgresql__shared": 300 * MIB}, "PostgreSQL's shared memory: more than planned", "300 MiB are held"),
        ({"host__available": 900 * MIB}, "Other services hold more than the plan knows of", "668 MiB are held"),
        ({"postgresql__container__swap": 40 * MIB}, "PostgreSQL is swapped out in part", "40 MiB are in swap"),
        ({"synapse__jemalloc__allocated": 100 * MIB}, "Synapse's allocator keeps memory", "210 MiB are resident, 100"),
        ({"postgresql__connections_peak": 29}, "PostgreSQL is nearly out of connections", "29 of 30 were open"),
        (
            {"postgresql__temp_files": 30, "postgresql__temp_bytes": 300 * MIB},
            "PostgreSQL sorts on the disk",
            "30 temporary files in 3 hours, 10 MiB each on average; work_mem is 4 MiB",
        ),
        ({"postgresql__blocks_read": 200_000}, "PostgreSQL reads much from outside its cache", "83 % of 1,190,000"),
        ({"shm__used": 250 * MIB}, "PostgreSQL's /dev/shm is nearly full", "250 MiB of 256 MiB"),
        ({"synapse__container__restarts": 1}, "Synapse was restarted by Docker 1 time", "It ended by itself"),
        ({"missing": {"metrics": "no listener"}}, "Not measured: metrics", "no listener"),
    ],
)
def test_a_step_comes_with_its_figure(at: dict[str, Any], title: str, figure: str) -> None:
    found = [step for step in steps(**at) if step.title.startswith(title)]
    assert len(found) == 1
    assert figure in found[0].figure


def test_backends_beyond_the_plan() -> None:
    measurement = sample_measurement()
    backends = measurement["postgresql"]["backends"]
    backends += [{**backends[0], "pid": pid} for pid in range(20, 27)]
    # 10 of them at 10 MiB, and the plan has 4.
    returned = {step.title: step.returns for step in steps(postgresql__backends=backends)}
    assert returned["More connections than Synapse's pools are planned to open"] == 60 * MIB


@pytest.mark.parametrize(
    ("at", "levers"),
    [
        (
            {"synapse__caches": [thrashing("*stateGroupCache*"), thrashing("is_real_user")]},
            ["caches.per_cache_factors.*stateGroupCache*", "caches.per_cache_factors.is_real_user"],
        ),
        ({"postgresql__temp_files": 30, "postgresql__temp_bytes": 300 * MIB}, ["postgresql.work_mem"]),
        ({"postgresql__connections_peak": 29}, ["postgresql.max_connections"]),
        ({"synapse__container__held_peak": 900 * MIB}, ["compose.synapse.memory_limit"]),
        ({"postgresql__container__held_peak": 450 * MIB}, ["compose.postgresql.memory_limit"]),
        ({"synapse__container__oom_kills": 1}, ["compose.synapse.memory_limit"]),
    ],
)
def test_what_the_plan_learns_is_its_step(at: dict[str, Any], levers: list[str]) -> None:
    measurement = sample_measurement(**at)
    (step,) = findings(measurement, path="/srv/matrix/measurement.json").steps
    assert all(lever in step.advice for lever in levers)
    assert step.command == (
        "ansible-playbook synapse.tuning.tune_synapse -i inventory.yml --become -e synapse_tuning_users=5"
        " -e synapse_tuning_measurement_path=/srv/matrix/measurement.json"
    )
    # And that command moves them.
    plan = make_plan(Inputs(users=5, ram=2048 * MIB, postgresql_version=15), Measurement.from_data(measurement))
    moved = {each["lever"] for each in plan["learned"]}
    assert {lever for lever in moved if lever.endswith(tuple(levers))} == moved != set()


@pytest.mark.parametrize(
    "at",
    [
        {"postgresql__temp_files": 9, "postgresql__temp_bytes": 90 * MIB},
        {"postgresql__temp_files": 30, "postgresql__temp_bytes": 300 * MIB, "postgresql__uptime": 3599.0},
        {"postgresql__temp_files": 30, "postgresql__temp_bytes": 300 * MIB, "postgresql__work_mem": 32 * MIB},
        {"postgresql__connections_peak": 24},
        {"synapse__container__held_peak": 870 * MIB},
    ],
)
def test_what_the_plan_leaves_alone_is_none(at: dict[str, Any]) -> None:
    assert steps(**at) == []


def test_the_caches_of_another_version_are_the_users() -> None:
    (step,) = steps(synapse__caches=[thrashing("*stateGroupCache*")], synapse__version="1.200.0")
    assert "synapse_tuning_per_cache_factors" in step.advice and step.command == ""
    assert "answered 30 % of 10,000 lookups" in step.figure


def test_what_was_learned_once_is_learned_again() -> None:
    measurement = sample_measurement(shm__used=250 * MIB)
    learned = {**PLAN, "host": {**PLAN["host"], "measured": LATER}}
    commands = [findings(measurement, plan=plan).steps[0].command for plan in (PLAN, learned)]
    assert [" -e synapse_tuning_measurement_path=PROJECT/measurement.json" in each for each in commands] == [
        False,
        True,
    ]


def test_dead_rows() -> None:
    tables = [{"table": "events", "dead": 50_000, "live": 100_000, "last": None}]
    (step,) = steps(postgresql__autovacuum={"running": 0, "dead_tuples": 50_000, "tables": tables})
    assert step.command == "docker restart matrix-synapse-1"


def test_rooms() -> None:
    left = sample_room(room_id="!left:x", local_members=0)
    wasteful = sample_room(room_id="!many:x", state_rows=400_000)
    found = findings(sample_measurement(), rooms=[sample_room(), left, wasteful]).steps
    assert titles(list(found)) == [
        "1 heavy room that nobody here is in",
        "The state of 1 room is stored many times over",
    ]
    assert found[0].returns == 15_000 * 2000
    given = json.loads(shlex.split(found[0].command)[-2])
    assert given["synapse_tuning_rooms_purge"] == ["!left:x"]
    # What can't be taken back is looked at first.
    assert found[0].command.endswith(" --check")
    assert "!many:x has 400,000 rows for 4,000 current state events" in found[1].figure


def test_what_fails_comes_first_and_then_what_returns_most() -> None:
    found = steps(
        synapse__jemalloc__allocated=100 * MIB,
        synapse__container__held_peak=1000 * MIB,
        synapse__container__restarts=1,
        missing={"metrics": "no listener"},
    )
    assert [(step.urgency, step.returns // MIB) for step in found] == [(0, 0), (1, 110), (2, 0), (3, 0)]


# --- figures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (figures.mib(None), "?"),
        (figures.mib(1.25 * MIB), "1.2"),
        (figures.mib(1024 * MIB), "1,024"),
        (figures.difference(2 * MIB, 1 * MIB), "−1.0"),
        (figures.difference(MIB, MIB + 1), "0"),
        (figures.difference(None, MIB), ""),
        (figures.percent(999, 1000), "99.9 %"),
        (figures.percent(1, 0), "?"),
        (figures.duration(3 * 86400 + 4 * 3600 + 60), "3 d 4 h"),
        (figures.duration(86400 + 60), "1 d"),
        (figures.duration(0), "0 s"),
        (figures.moment("2026-11-28T16:40:00Z"), "2026-11-28 16:40:00 UTC"),
        (figures.moment("yesterday"), "yesterday"),
        (figures.day(10**20), "?"),
    ],
)
def test_figures(shown: str, said: str) -> None:
    assert shown == said
