# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From records of runs to figures and their page: with figures that were worked out by hand."""

from __future__ import annotations

import copy
import json
import pathlib
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))

import memory_page
import results
import summary

MIB = 1024**2


def record(configuration: str, rotation: int = 0, **more: Any) -> dict[str, Any]:
    """A run; peak: MiB of both programs, of which Synapse has three quarters; p95: ms of all requests."""
    peak, p95 = more.pop("peak", 400), more.pop("p95", 100)
    return {
        "configuration": configuration,
        "host_gib": 2,
        "users": 50,
        "rotation": rotation,
        "order": 0,
        "seed": 1,
        "seconds": 60.0,
        "decided": {},
        "touched": {"steady": 0, "peak": 0},
        "memory": {
            "synapse": {
                "held_peak": peak * MIB * 3 // 4,
                "held_steady": peak * MIB // 2,
                "pss_steady": peak * MIB // 2,
            },
            "postgresql": {"held_peak": peak * MIB // 4, "held_steady": peak * MIB // 4, "pss_steady": None},
            "total": {"held_peak": peak * MIB, "held_steady": peak * MIB * 3 // 4},
        },
        "timeline": [[0.0, 100 * MIB, 50 * MIB], [1.0, 200 * MIB, 60 * MIB]],
        "latency": {
            "send": {"count": 90, "errors": 0, "p50": 5.0, "p95": p95 / 2, "p99": 20.0},
            "join": {"count": 10, "errors": 0, "p50": 5.0, "p95": p95 * 2.0, "p99": 20.0},
            "all": {"count": 100, "errors": 0, "p50": 5.0, "p95": float(p95), "p99": 20.0},
        },
        "errors": 0,
        "error_samples": [],
        "oom_kills": {"synapse": 0, "postgresql": 0, "host": 0},
        "cpu_seconds": {"synapse": 30.0, "postgresql": 10.0},
        "survived": True,
        "predicted": None,
        "versions": {"synapse": "1.163.2"},
        "machine": {"cores": 2, "memory_gib": 23.5, "system": "Linux", "load_average_before": 0.5},
        **more,
    }


def rotations(configuration: str, values: list[tuple[int, int]], **more: Any) -> list[dict[str, Any]]:
    """A run for each (peak, p95)."""
    return [record(configuration, rotation, peak=peak, p95=p95, **more) for rotation, (peak, p95) in enumerate(values)]


def dead(configuration: str, rotation: int = 0, **more: Any) -> dict[str, Any]:
    """A run that was killed, with nothing measured."""
    kills = {"synapse": 1, "postgresql": 0, "host": 0}
    nothing = {"memory": None, "latency": None, "cpu_seconds": None, "timeline": []}
    return record(configuration, rotation, **{"survived": False, "oom_kills": kills, **nothing, **more})


def turn(rotation: int = 0, errors: int = 0, **p95: int) -> dict[str, Any]:
    """A run in which configurations took turns."""
    runs = {name: {**record(name, p95=value), "errors": errors} for name, value in p95.items()}
    return {"host_gib": 2, "users": 50, "rotation": rotation, "configurations": runs}


def only_cell(*records: dict[str, Any]) -> dict[str, Any]:
    (cell,) = summary.summarise(records)["cells"]
    return cell["configurations"]


def check(figures: dict[str, Any], kind: str, other: Any = ..., subject: str = "ours") -> dict[str, Any]:
    (found,) = (
        each
        for each in figures["must_hold"]
        if (each["kind"], each["subject"]) == (kind, subject) and other in (..., each["other"])
    )
    return found


# --- statistics -----------------------------------------------------------------------------------


def test_a_ratio_is_made_within_each_pair() -> None:
    # 1/2, 3/4 and 5/4: the ratio of the medians (3/4) would be another one if the pairs were torn.
    found = summary.ratio([(1, 2), (30, 40), (5, 4), (None, 3), (3, None), (3, 0)])
    assert found is not None
    assert (found["median"], found["least"], found["most"]) == (0.75, 0.5, 1.25)
    assert (found["pairs"], found["below"]) == (3, 2)


def test_no_pair_has_no_ratio() -> None:
    assert summary.ratio([]) is None
    assert summary.ratio([(None, 1), (1, None)]) is None


def test_one_pair_has_no_interval() -> None:
    found = summary.ratio([(1, 2)])
    assert found is not None and (found["median"], found["low"], found["high"]) == (0.5, None, None)


def test_the_bootstrap_of_two_values() -> None:
    # A quarter of the resamples is the smaller value alone, a quarter the greater one: both ends are in the 95 %.
    assert summary.interval([1, 3]) == (1, 3)


def test_the_bootstrap_of_many_values() -> None:
    # Of 99 values the median's 95 % interval is about 50 ± 1.96 * sqrt(99) / 2 ranks: 40 to 60.
    low, high = summary.interval(list(range(1, 100))) or (0, 0)
    assert 37 <= low <= 43 and 57 <= high <= 63
    assert summary.interval(list(range(1, 100))) == (low, high)


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=6))
def test_an_interval_is_around_the_median_and_within_the_range(values: list[float]) -> None:
    found = summary.ratio((value, 1) for value in values)
    assert found is not None
    assert found["least"] <= found["low"] <= found["median"] <= found["high"] <= found["most"]


# --- cells ----------------------------------------------------------------------------------------


def test_ratios_are_of_the_same_rotation() -> None:
    # The second rotation was slow for everybody.
    found = only_cell(
        *rotations("stock", [(400, 100), (500, 400), (400, 110)]),
        *rotations("ours", [(200, 90), (300, 360), (220, 99)]),
    )["ours"]
    assert found["peak"] == {"median": 220 * MIB, "least": 200 * MIB, "most": 300 * MIB}
    against = found["against"]["stock"]
    # 200/400, 300/500, 220/400
    assert (against["peak"]["median"], against["peak"]["least"], against["peak"]["most"]) == (0.55, 0.5, 0.6)
    # 90/100, 360/400, 99/110
    assert against["p95"]["all"]["median"] == against["p95"]["send"]["median"] == pytest.approx(0.9)
    assert against["cpu_seconds"]["median"] == 1


def test_a_rotation_that_one_of_them_lacks_makes_no_ratio() -> None:
    runs = [*rotations("stock", [(400, 100), (400, 100)]), record("ours", 1, peak=100), record("ours", 2, peak=10)]
    found = only_cell(*runs)["ours"]["against"]["stock"]["peak"]
    assert (found["pairs"], found["median"]) == (1, 0.25)


def test_what_died_is_counted_and_measured_by_nothing() -> None:
    runs = [record("stock", 0), dead("stock", 1), record("ours", 0, peak=100), record("ours", 1, peak=300)]
    cell = only_cell(*runs)
    assert (cell["stock"]["runs"], cell["stock"]["survived"]) == (2, 1)
    assert cell["stock"]["peak"]["median"] == 400 * MIB
    assert cell["stock"]["oom_kills"] == {"synapse": 1, "postgresql": 0, "host": 0}
    assert cell["ours"]["against"]["stock"]["peak"]["pairs"] == 1


def test_what_was_not_measured_is_unknown_and_not_zero() -> None:
    found = only_cell(record("stock"))["stock"]
    assert found["programs"]["postgresql"]["pss_steady"] is None
    assert found["programs"]["synapse"]["held_peak"]["median"] == 300 * MIB
    assert found["predicted"] == {"synapse": None, "postgresql": None}
    assert found["against"]["mdad"]["peak"] is None


def test_the_last_of_repeated_runs_counts() -> None:
    figures = summary.summarise([record("stock", peak=999), record("stock", peak=400)])
    assert (figures["runs"], figures["repeated"]) == (1, 1)
    assert figures["cells"][0]["configurations"]["stock"]["peak"]["median"] == 400 * MIB


def test_cells_and_configurations_are_in_order() -> None:
    figures = summary.summarise(
        [record("ours", users=500), record("new", users=5), record("stock", users=5), record("ours", host_gib=1)]
    )
    assert [(cell["host_gib"], cell["users"]) for cell in figures["cells"]] == [(1, 50), (2, 5), (2, 500)]
    assert list(figures["cells"][1]["configurations"]) == ["stock", "new"]


def test_the_timeline_is_of_the_fullest_session_on_the_smallest_host() -> None:
    figures = summary.summarise(
        [
            record("stock", host_gib=1, users=500, timeline=[]),
            record("ours", host_gib=1, users=500),
            *(record(name, host_gib=2, users=users) for name in ("ours", "stock") for users in (5, 500)),
            *(record(name, host_gib=4, users=500) for name in ("ours", "stock")),
        ]
    )
    timeline = figures["timeline"]
    assert (timeline["host_gib"], timeline["users"], timeline["rotation"]) == (2, 500, 0)
    assert list(timeline["configurations"]) == ["stock", "ours"]
    assert summary.summarise([record("stock", timeline=[])])["timeline"] is None


def test_the_figures_are_json_and_the_records_are_left_alone() -> None:
    records = [*rotations("stock", [(400, 100), (500, 120)]), record("ours"), dead("mdad")]
    before = copy.deepcopy(records)
    figures = summary.summarise(records, fitted=[(2, 50)])
    assert json.loads(json.dumps(figures)) == figures
    assert records == before


# --- what must hold -------------------------------------------------------------------------------


def test_a_lower_peak_holds_where_the_median_ratio_is_below_one() -> None:
    stock = rotations("stock", [(400, 100), (400, 100), (400, 100)])
    figures = summary.summarise([*stock, *rotations("ours", [(300, 100), (300, 100), (500, 100)])])
    found = check(figures, "peak_below", "stock")
    assert found["holds"] is True and found["cells"][0]["ratio"]["below"] == 2
    figures = summary.summarise([*stock, *rotations("ours", [(400, 100), (400, 100), (300, 100)])])
    assert check(figures, "peak_below", "stock")["holds"] is False
    assert check(figures, "peak_below", "mdad")["holds"] is None


def test_one_cell_that_does_not_hold_is_enough() -> None:
    runs = [
        *(record("stock", users=users) for users in (5, 50, 500)),
        *(record("ours", users=users, peak=peak) for users, peak in ((5, 300), (50, 401), (500, 300))),
    ]
    found = check(summary.summarise(runs), "peak_below", "stock")
    assert [each["holds"] for each in found["cells"]] == [True, False, True] and found["holds"] is False


@pytest.mark.parametrize("p95, holds", [(99, True), (100, True), (101, False)])
def test_latency_may_be_the_same(p95: int, holds: bool) -> None:
    runs = [record("stock"), record("ours", p95=500)]
    found = check(summary.summarise(runs, turns=[turn(stock=100, ours=p95)]), "p95_no_worse")
    assert found["holds"] is holds
    assert found["cells"][0]["kinds"] == {"send": pytest.approx(p95 / 100), "join": pytest.approx(p95 / 100)}


def test_speed_is_the_median_of_the_ratios_of_each_run() -> None:
    turns = [turn(0, stock=100, ours=90), turn(1, stock=400, ours=420), turn(2, stock=100, ours=99), turn(3, stock=1)]
    found = check(summary.summarise([record("ours")], turns=turns), "p95_no_worse")
    (cell,) = found["cells"]
    assert (cell["ratio"]["median"], cell["ratio"]["below"], cell["ratio"]["pairs"]) == (0.99, 2, 3)
    assert (cell["p50"]["median"], cell["cpu_seconds"]["median"], cell["requests"]["median"]) == (1, 1, 100)
    assert found["holds"] is True


def test_who_answers_nothing_in_a_turn_is_not_faster() -> None:
    answered, silent = turn(0, stock=100, ours=50), turn(1, stock=100, ours=50)
    silent["configurations"]["ours"]["latency"] = {"all": {"count": 0, "errors": 100}}
    assert check(summary.summarise([record("ours")], turns=[answered, silent]), "p95_no_worse")["holds"] is False
    assert check(summary.summarise([record("ours")], turns=[silent]), "p95_no_worse")["holds"] is False


def test_what_fails_where_the_other_does_not_is_no_faster() -> None:
    failing = turn(stock=100, ours=90)
    failing["configurations"]["ours"]["errors"] = 1
    runs = [record("ours")]
    assert check(summary.summarise(runs, turns=[failing]), "p95_no_worse")["holds"] is False
    failing["configurations"]["stock"]["errors"] = 2
    assert check(summary.summarise(runs, turns=[failing]), "p95_no_worse")["holds"] is True


def test_without_turns_speed_was_not_measured() -> None:
    assert check(summary.summarise([record("stock"), record("ours")]), "p95_no_worse")["holds"] is None


def test_nothing_is_held_against_what_died() -> None:
    runs = [dead("stock"), record("ours"), record("stock", users=5), record("ours", users=5, peak=300)]
    found = check(summary.summarise(runs), "peak_below", "stock")
    assert [each["other_died"] for each in found["cells"]] == [False, True] and found["holds"] is True
    only = check(summary.summarise(runs[:2]), "peak_below", "stock")
    assert only["holds"] is None


def test_who_dies_holds_nothing() -> None:
    figures = summary.summarise([record("stock"), dead("ours")])
    for kind in ("peak_below", "no_failure"):
        assert check(figures, kind, "stock" if kind == "peak_below" else ...)["holds"] is False, kind
    # Though the peer died too.
    assert check(summary.summarise([dead("stock"), dead("ours")]), "peak_below", "stock")["holds"] is False


def test_a_failure_counts_where_another_had_none_of_its_kind() -> None:
    ours = record("ours", errors=2)
    assert check(summary.summarise([record("stock"), ours]), "no_failure")["holds"] is False
    both = summary.summarise([record("stock", errors=1), ours])
    assert check(both, "no_failure")["holds"] is True
    # An error is no OOM kill.
    mixed = summary.summarise([record("stock", errors=1), dead("mdad"), dead("ours", errors=2)])
    (row,) = check(mixed, "no_failure")["cells"]
    assert row["spared"] == {"deaths": ["stock"], "oom_kills": ["stock"], "errors": ["mdad"]}


def test_ours_is_not_held_against_what_it_learned() -> None:
    figures = summary.summarise([record("stock", errors=1), record("ours", errors=1), record("learned")])
    assert check(figures, "no_failure")["holds"] is True
    assert check(figures, "no_failure", subject="learned")["holds"] is True


@pytest.mark.parametrize("synapse, holds", [(345, True), (346, False), (255, True), (254, False)])
def test_a_prediction_may_be_15_percent_off(synapse: int, holds: bool) -> None:
    # Synapse's measured peak is 300 MiB, PostgreSQL's 100, and that of both together 400.
    predicted = {"synapse": synapse * MIB, "postgresql": 110 * MIB}
    found = check(summary.summarise([record("stock"), record("ours", predicted=predicted)]), "predicted")
    assert {each["program"]: each["holds"] for each in found["cells"]} == {
        "synapse": holds,
        "postgresql": True,
        "both": True,
    }
    assert found["cells"][1]["off"] == pytest.approx(0.1)


@pytest.mark.parametrize("cells, off, holds", [(10, 1, True), (10, 2, False), (9, 1, False), (1, 0, True)])
def test_predictions_hold_in_nine_of_ten_cells(cells: int, off: int, holds: bool) -> None:
    def run(number: int) -> dict[str, Any]:
        synapse = 361 if number < off else 300
        return record("ours", users=number + 1, predicted={"synapse": synapse * MIB, "postgresql": 100 * MIB})

    found = check(summary.summarise(list(map(run, range(cells)))), "predicted")
    assert sum(not each["holds"] for each in found["cells"] if each["program"] == "both") == off
    assert found["holds"] is holds


def test_what_was_fitted_proves_nothing() -> None:
    predicted = {"synapse": 300 * MIB, "postgresql": 100 * MIB}
    figures = summary.summarise([record("ours", predicted=predicted)], fitted=[(2.0, 50)])
    found = check(figures, "predicted")
    assert found["cells"] == [] and found["holds"] is None


# --- the page -------------------------------------------------------------------------------------


def page(*records: dict[str, Any], **more: Any) -> str:
    return memory_page.page(summary.summarise(records, **more))


def test_the_page_says_no_plainly() -> None:
    text = page(record("stock"), record("ours", peak=500), turns=[turn(stock=100, ours=90)])
    assert "| ours: a lower peak than stock in every cell | **no** |" in text
    assert "| ours: a 95th percentile of latency no higher than stock's | **yes** |" in text
    assert "| ours: a lower peak than mdad in every cell | **not measured** |" in text
    assert "| 2 GiB, 50 users | 500 | 400 | 1.250 (1.250 to 1.250) | 0 of 1 | no |" in text


def test_the_page_has_a_row_for_each_configuration() -> None:
    runs = [*rotations("stock", [(400, 100), (420, 90)]), *rotations("ours", [(200, 90), (210, 90)])]
    lines = page(*runs).splitlines()
    assert "| ours | 205 (200 to 210) |" in lines
    # Peak, steady, Synapse, PostgreSQL, p95, its ratio (0.9, 1.0), processor time, errors, OOM kills, died.
    assert (
        "| ours | 205 (200 to 210) | 154 (150 to 158) | 154 (150 to 158) | 51 (50 to 52) | 90 | 0.95 (0.90 to 1.00)"
        " | 1.00 (1.00 to 1.00) | 0 | 0 | 0 of 2 |"
    ) in lines


def test_the_page_says_where_there_were_too_few_rotations() -> None:
    few = page(record("stock"), record("stock", users=5), *rotations("ours", [(400, 100)] * 5))
    assert (
        "**Fewer than the 5 rotations that were meant**, and so weaker: 2 GiB, 5 users: 1; 2 GiB, 50 users: 1." in few
    )
    assert "Every configuration ran in 5 rotations or more." in page(*rotations("stock", [(400, 100)] * 5))


def test_the_page_says_who_died_and_of_what() -> None:
    kill = dead("mdad", error_samples=["GET /sync:\n refused | `x`"], errors=7)
    text = page(record("stock"), kill, record("ours"))
    assert "| mdad | –, 1 of 1 died |" in text
    assert "| 7 | 1 (synapse 1) | 1 of 1 |" in text
    assert "- mdad: `GET /sync: refused | 'x'`" in text
    assert "| mdad died |" in text


def test_the_page_says_what_it_ran_on() -> None:
    text = page(record("stock"), record("stock", 1, seed=2, seconds=70.2))
    assert "2 runs of 60 to 70 s each, in 1 cell " in text and "with seeds 1, 2." in text
    assert "- Machine: 2 cores, 23.5 GiB, Linux\n- Versions: synapse 1.163.2\n- Load average" in text
    assert "- Requests of a run with 50 users: send 90, join 10." in text
    assert "repeated" not in text
    assert "1 run had been repeated; the last of each counts." in page(record("stock"), record("stock"))


def test_a_page_without_ours_says_so() -> None:
    assert "| nothing: no plan of this collection was measured | **not measured** |" in page(record("stock"))


def test_the_page_says_which_cells_were_fitted() -> None:
    predicted = {"synapse": 330 * MIB, "postgresql": 100 * MIB}
    runs = [record("ours", predicted=predicted), record("ours", predicted=predicted, users=5)]
    text = page(*runs, fitted=[(2, 5)])
    assert "| 2 GiB, 50 users | synapse | 330 | 300 | +10.0% | yes |" in text
    assert "2 GiB, 5 users | synapse" not in text
    assert "The predictions were made from 2 GiB, 5 users, which therefore prove nothing of them." in text


# --- records --------------------------------------------------------------------------------------


def test_records_are_read() -> None:
    records = [record("stock"), record("ours")]
    assert results.parse("\n".join(map(json.dumps, records)) + "\n\n", name="r") == records


@pytest.mark.parametrize(
    "text, problem",
    [
        ("", "r: no record in it; run the lab first"),
        ("{}\n{", "r:1: a record without configuration, host_gib,"),
        ("\n[1]", "r:2: a record without configuration"),
        ("{", "r:1: no JSON "),
    ],
)
def test_a_wrong_record_is_named(text: str, problem: str) -> None:
    with pytest.raises(results.RecordError) as caught:
        results.parse(text, name="r")
    assert str(caught.value).startswith(problem) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["2", "2:", "x:5", "2:5.5"])
def test_a_cell_that_was_fitted_is_gib_and_users(
    text: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        results.main([str(tmp_path / "r"), "--fitted", text])
    assert "write GIB:USERS, such as 2:50" in capsys.readouterr().err
