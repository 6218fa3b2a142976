# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scalars mean what PyYAML takes them for, and a written string is a string for everybody."""

from __future__ import annotations

import datetime
import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ansible_collections.synapse.tuning.plugins.module_utils._yaml_scalars import quote, resolve
from ansible_collections.synapse.tuning.plugins.module_utils._yaml_tree import number

tricky = st.one_of(
    st.text(alphabet="0123456789+-._:eExXobaf~", max_size=8),
    st.sampled_from(
        ["yes", "No", "ON", "off", "y", "n", "true", "null", "~", "", ".inf", "-.INF", ".nan", "1_0", "0_"]
    ),
    st.text(alphabet=st.characters(codec="utf-8"), max_size=12),
    st.text(alphabet="ab:#,[]{}&*!|>'\"%@`-? \\\t\n\r", max_size=8),
)


def equal(one, other):
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other


@settings(max_examples=500)
@given(tricky)
def test_resolve_as_pyyaml(text):
    """Plain scalars that PyYAML reads as such."""
    try:
        found = yaml.compose("- " + text, Loader=yaml.SafeLoader).value[0]
        plain = isinstance(found, yaml.ScalarNode) and found.style is None and found.value == text
        value = yaml.safe_load("- " + text)[0] if plain else None
    except (yaml.YAMLError, ValueError, AttributeError, IndexError):
        return
    if plain and not isinstance(value, (datetime.date, datetime.datetime)):
        assert equal(resolve(text, "plain", None, "1.1"), value)


@settings(max_examples=500)
@given(tricky, st.sampled_from(["plain", "'", '"']), st.booleans())
def test_a_written_string_reads_back_everywhere(text, style, flow):
    source = quote(text, style=style, flow=flow)
    assert "\n" not in source
    assert "\r" not in source
    written = f"[{source}, 1]" if flow else f"- {source}  # remark\n- 1\n"
    assert yaml.safe_load(written) == [text, 1]
    assert YAML(typ="safe", pure=True).load(written) == [text, 1]
    as_key = f"{{{source}: 1}}" if flow else f"{source}: 1\n"
    assert yaml.safe_load(as_key) == {text: 1}
    if source == text:
        assert resolve(text, "plain", None, "1.1") == text
        assert resolve(text, "plain", None, "1.2") == text


@pytest.mark.parametrize(
    "text", ["10K", "640M", "256m", "7864kB", "5m", "28d", "1.5G", "synapse", "-c", "postgres:17-alpine"]
)
def test_what_needs_no_quotes_gets_none(text):
    assert quote(text, style="plain", flow=False) == text


@pytest.mark.parametrize(
    "text", ["yes", "Off", "y", "null", "~", "", "0x1F", "0b1", "0o7", "1e3", "1:30", "1_000", ".5", "+1", "2001-01-01", "<<", "=", "-", "1d2", "0.2"]
)  # fmt: skip
def test_what_somebody_could_take_for_something_else_is_quoted(text):
    assert quote(text, style="plain", flow=False) == f'"{text}"'


@settings(max_examples=300)
@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats()))
def test_a_written_number_reads_back_everywhere(value):
    source = number(value)
    assert equal(resolve(source, "plain", None, "1.1"), value)
    assert equal(resolve(source, "plain", None, "1.2"), value)
    if isinstance(value, float) and math.isfinite(value):
        assert yaml.safe_load(source) == value
    assert equal(yaml.safe_load(source), value)


def test_tags_and_quotes_decide():
    assert resolve("5", '"', None, "1.1") == "5"
    assert resolve("5", "plain", "tag:yaml.org,2002:str", "1.1") == "5"
    assert resolve("5", '"', "tag:yaml.org,2002:int", "1.1") == 5
    assert resolve("5", "plain", "!reset", "1.2") == 5
