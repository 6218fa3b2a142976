# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's values, compared by what they mean.

That PostgreSQL itself understands them so is shown in tests/integration/test_postgresql_parameters.py.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ParameterError
from ansible_collections.synapse.tuning.plugins.module_utils._core.known_parameters import same_value
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import (
    Parameter,
    as_text,
    elements,
    read,
    same,
    show,
)

SIZES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
TIMES = {"us": 1, "ms": 1000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


def parameter(vartype="integer", unit=None, **other):
    given = {"name": "some", "setting": None, "context": "user", "source": "default", "boot": None, **other}
    return Parameter(vartype=vartype, unit=unit, **given)


@settings(max_examples=100)
@given(st.sampled_from(["B", "kB", "8kB", "MB", "16MB"]), st.sampled_from(sorted(SIZES)), st.integers(0, 1 << 20))
def test_sizes_agree_across_units(base, unit, count):
    base_size = int(base.rstrip("kMB") or 1) * SIZES[base.lstrip("0123456789")]
    size = count * SIZES[unit]
    understood = read(parameter(unit=base), f"{count}{unit}")
    # Exact where it divides; else PostgreSQL rounds, and never by more than half of its unit and one of the next.
    if size % base_size == 0:
        assert understood == size // base_size
    else:
        assert abs(understood * base_size - size) <= base_size
    # A bare number counts in the parameter's own unit.
    assert read(parameter(unit=base), str(understood)) == understood


@settings(max_examples=100)
@given(st.sampled_from(["ms", "s", "min"]), st.sampled_from(sorted(TIMES)), st.integers(0, 1 << 20))
def test_times_agree_across_units(base, unit, count):
    exact = count * TIMES[unit] / TIMES[base]
    assert math.isclose(read(parameter("real", unit=base), f"{count}{unit}"), exact, rel_tol=1e-9, abs_tol=1e-9)
    assert abs(read(parameter(unit=base), f"{count} {unit}") - exact) <= 0.5 + 1e-6 * exact


@settings(max_examples=100)
@given(st.sampled_from(["B", "kB", "8kB", "MB", "ms", "s", "min"]), st.integers(0, 1 << 40))
def test_what_is_shown_means_the_same(unit, number):
    row = parameter(unit=unit)
    assert read(row, show(row, str(number))) == number


@pytest.mark.parametrize(
    ("unit", "setting", "text"),
    [
        ("8kB", "16384", "128MB"),
        ("kB", "4096", "4MB"),
        ("kB", "-1", "-1"),
        ("8kB", "0", "0"),
        ("ms", "600000", "10min"),
        (None, "100", "100"),
        ("kB", None, None),
    ],
)
def test_showing(unit, setting, text):
    assert show(parameter(unit=unit), setting) == text


@settings(max_examples=200)
@given(st.sampled_from(["bool", "integer", "real", "enum", "string"]), st.sampled_from([None, "8kB", "ms"]), st.text())
def test_any_text_is_read_or_refused_in_one_line(vartype, unit, text):
    row = parameter(vartype, unit, choices=("on", "off", "local"))
    said = "some"
    try:
        read(row, text)
    except ParameterError as error:
        said = str(error)
    assert "some" in said and "\n" not in said


@pytest.mark.parametrize("text", ["1e999", "inf", "nan", "0x", "1 2", "--1", "1e400MB", "08"])
def test_numbers_that_are_none(text):
    with pytest.raises(ParameterError):
        read(parameter(unit="kB", maximum="2147483647"), text)


def test_range_is_inclusive():
    row = parameter(unit="8kB", minimum="16", maximum="1073741823")
    assert read(row, "128kB") == 16
    with pytest.raises(ParameterError, match="some cannot be '120kB': PostgreSQL takes 128kB to"):
        read(row, "120kB")


def test_switches():
    assert {read(parameter("bool"), text) for text in ("on", "ON", " t ", "yes", "1", "tr")} == {True}
    assert {read(parameter("bool"), text) for text in ("off", "of", "f", "no", "0")} == {False}


def test_lists_are_split_and_other_texts_are_not():
    assert elements("shared_preload_libraries", 'a, "b"') == ("a", "b")
    assert elements("listen_addresses", "a, b") == ("a, b",)
    row = parameter("string", name="search_path")
    assert read(row, '"$user", public') == read(row, "$user,public")


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "on"), (False, "off"), (1.1, "1.1"), (30, "30"), ("256MB", "256MB"), (["a", "b"], "a, b")],
)
def test_yaml_values(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("row", "setting", "planned", "equal"),
    [
        (parameter(unit="8kB"), "32768", "256MB", True),
        (parameter(unit="8kB"), "32767", "256MB", False),
        (parameter(unit="8kB"), "983", "7864kB", True),
        (parameter(unit="MB"), "1024", "1GB", True),
        (parameter(unit="kB"), "-1", "8MB", False),
        (parameter("real"), "1.1", 1.1, True),
        (parameter("real"), "4", 4, True),
        # pg_settings prints six digits.
        (parameter("real"), "1.23457", 1.23456789, True),
        (parameter(), "31", 30, False),
        (parameter("bool"), "off", False, True),
        (parameter("bool"), "on", "true", True),
        (parameter("bool"), "on", "off", False),
        (parameter("enum", choices=("on", "off", "try")), "try", "TRY", True),
        (parameter("enum", choices=("on", "off", "try")), "try", "perhaps", False),
    ],
)
def test_settings_are_compared_by_value(row, setting, planned, equal):
    assert same(row, setting, as_text(planned), shown=True) is equal


@pytest.mark.parametrize(
    "name, left, right",
    [
        ("shared_buffers", "256MB", "262144kB"),
        ("shared_buffers", "256MB", "32768"),
        ("shared_buffers", "256MB", "0.25GB"),
        ("shared_buffers", "256MB", " 256 MB "),
        ("shared_buffers", "256MB", "0x8000"),
        ("effective_cache_size", "512MB", "65536"),
        ("work_mem", "4MB", "4096"),
        ("work_mem", "4MB", "4096kB"),
        ("maintenance_work_mem", "64MB", "65536kB"),
        ("wal_buffers", "7864kB", "983"),
        ("wal_buffers", "7864kB", "7865kB"),  # rounded to blocks of 8 kB, as PostgreSQL does
        ("max_wal_size", "2GB", "2048"),
        ("checkpoint_timeout", "15min", "900"),
        ("checkpoint_timeout", "15min", "900s"),
        ("idle_in_transaction_session_timeout", "30min", "1800000"),
        ("max_connections", "30", "036"),  # octal, as PostgreSQL reads it
        ("max_connections", "30", "0x1e"),
        ("random_page_cost", "1.1", "1.10"),
        ("random_page_cost", "4", "4.0"),
        ("jit", "off", "false"),
        ("jit", "off", "OFF"),
        ("jit", "off", "no"),
        ("jit", "off", "0"),
        ("jit", "on", "1"),
        ("jit", "on", "t"),
        ("huge_pages", "try", "try"),
    ],
)
def test_equal_values_on_a_command_line(name, left, right):
    assert same_value(name, left, right)
    assert same_value(name, right, left)


@pytest.mark.parametrize(
    "name, left, right",
    [
        ("shared_buffers", "256MB", "128MB"),
        ("shared_buffers", "256MB", "256"),
        ("shared_buffers", "256MB", "256mb"),  # PostgreSQL refuses this one
        ("shared_buffers", "256MB", "-1"),
        ("work_mem", "4MB", "4"),
        ("work_mem", "4MB", "32768"),
        ("wal_buffers", "7864kB", "-1"),
        ("checkpoint_timeout", "15min", "15"),
        ("max_connections", "30", "300"),
        ("max_connections", "30", "030"),
        ("max_connections", "30", ""),
        ("jit", "on", "off"),
        ("huge_pages", "try", "on"),
        ("huge_pages", "on", "off"),
        ("random_page_cost", "1.1", "4"),
    ],
)
def test_different_values_on_a_command_line(name, left, right):
    assert not same_value(name, left, right)
    assert not same_value(name, right, left)
