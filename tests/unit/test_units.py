# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and durations, each in its program's notation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core import units
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import UnitError

KIBS = st.integers(min_value=0, max_value=1 << 50).map(lambda kib: kib * units.KIB)


@given(KIBS)
def test_what_is_rendered_reads_back(size: int) -> None:
    assert units.synapse_bytes(units.synapse_size(size)) == size
    assert units.compose_bytes(units.compose_size(size)) == size
    assert units.compose_bytes(units.compose_size(size).upper()) == size
    assert units.postgresql_bytes(units.postgresql_size(size), unit=8192) == size


@pytest.mark.parametrize(
    ("size", "synapse", "postgresql", "compose"),
    [
        (1 << 30, "1G", "1GB", "1g"),
        (256 << 20, "256M", "256MB", "256m"),
        (7864 << 10, "7864K", "7864kB", "7864k"),
        (1023, "0K", "0kB", "0k"),
        (1536 << 20, "1536M", "1536MB", "1536m"),
    ],
)
def test_rendering(size: int, synapse: str, postgresql: str, compose: str) -> None:
    assert units.synapse_size(size) == synapse
    assert units.postgresql_size(size) == postgresql
    assert units.compose_size(size) == compose


@pytest.mark.parametrize("text", ["1.5G", "5k", "5Ki", "5 K", "", "-5M", "K"])
def test_synapse_refuses_what_synapse_refuses(text: str) -> None:
    with pytest.raises(UnitError, match="integer with K, M or G"):
        units.synapse_bytes(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("10K", 10240), (10240, 10240), ("10240", 10240), ("2T", 2 << 40)],
)
def test_synapse_sizes(text: object, size: int) -> None:
    assert units.synapse_bytes(text) == size  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("5m", 300_000), ("300s", 300_000), (300_000, 300_000), ("28d", 28 * 86_400_000), ("1w", 7 * 86_400_000)],
)
def test_synapse_durations(text: object, milliseconds: int) -> None:
    assert units.synapse_milliseconds(text) == milliseconds  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["5 minutes", "m", "-5m", "1.5h"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(UnitError, match="such as 5m"):
        units.synapse_milliseconds(text)


@pytest.mark.parametrize(
    ("text", "unit", "size"),
    [("256MB", 8192, 256 << 20), ("32768", 8192, 256 << 20), (4096, 1024, 4 << 20), ("1.5GB", 8192, 3 << 29)],
)
def test_postgresql_sizes(text: object, unit: int, size: int) -> None:
    assert units.postgresql_bytes(text, unit=unit) == size  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["256mb", "256M", "lots", "-1MB"])
def test_postgresql_units_are_case_sensitive(text: str) -> None:
    with pytest.raises(UnitError, match="kB, MB or GB"):
        units.postgresql_bytes(text, unit=8192)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1G", 1 << 30), ("1g", 1 << 30), ("1gb", 1 << 30), ("1GiB", 1 << 30), ("1024m", 1 << 30), (1 << 30, 1 << 30)],
)
def test_compose_sizes(text: object, size: int) -> None:
    assert units.compose_bytes(text) == size  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["${MEM:-1g}", "1x", "", "-1g"])
def test_compose_refuses(text: str) -> None:
    with pytest.raises(UnitError, match="b, k, m or g"):
        units.compose_bytes(text)


def test_negative_sizes_are_refused() -> None:
    with pytest.raises(UnitError, match="negative"):
        units.synapse_size(-1)


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (1 << 20, "1 MiB"), (3 << 29, "1.5 GiB"), (10 << 30, "10 GiB"), (1536, "1.5 KiB")]
)
def test_shown_sizes(size: int, shown: str) -> None:
    assert units.show_bytes(size) == shown
