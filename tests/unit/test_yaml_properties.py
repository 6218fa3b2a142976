# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random files, random edits: the data is what was meant, and no other line moves."""

from __future__ import annotations

import copy

import yaml
import yaml_strategies as strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._yaml import Document, same

MANY = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def parse(written):
    return Document.parse(written.text, name="f.yaml")


def is_kept(lines, text, *, without=frozenset()):
    """The lines, but for those at the given indexes and blank ones, stand in the text in this order."""
    left = iter(text.lstrip("\ufeff").splitlines())
    return all(line in left for index, line in enumerate(lines) if index not in without and line.strip())


def put(data, path, value):
    for key, following in zip(path, path[1:]):
        if isinstance(data, dict) and data.get(key) is None:
            data[key] = [] if following == 0 and isinstance(following, int) else {}
        data = data[key]
    if isinstance(data, list) and path[-1] == len(data):
        data.append(value)
    else:
        data[path[-1]] = value


def take(data, path):
    """Delete the entry and what that leaves empty; returns the path of all that went."""
    holders = [data]
    for key in path[:-1]:
        holders.append(holders[-1][key])
    for depth in range(len(path) - 1, -1, -1):
        del holders[depth][path[depth]]
        if holders[depth]:
            break
    return path[: depth + 1]


def owned_by(written, path):
    """The lines that an edit of an existing path may touch: its own, or those of the flow that it stands in."""
    while path in written.flow and path not in written.owned:
        path = path[:-1]
    first, last = written.owned[path]
    return frozenset(range(first, last + 1))


@MANY
@given(strategies.files())
def test_reading(file):
    data, written = file
    document = parse(written)
    assert same(document.data, data)
    assert document.text == written.text
    for path in strategies.paths_of(data):
        assert document.has(path)
        assert not document.inherited(path)
        start, end = document.span(path)
        if document.style(path) != "block" and start < end and document.style(path) not in "|>":
            assert same(yaml.safe_load("- " + document.text[start:end])[0], document.get(path)) or path[-1] == "on"


@MANY
@given(strategies.files(), st.data())
def test_set_existing(file, choice):
    data, written = file
    paths = list(strategies.paths_of(data))
    if not paths:
        return
    path = choice.draw(st.sampled_from(paths))
    value = choice.draw(strategies.values)
    document = parse(written)
    expected = copy.deepcopy(data)
    put(expected, path, value)
    changed = document.set(path, value)
    assert changed == (not same(data, expected))
    assert same(document.data, expected)
    assert is_kept(written.lines, document.text, without=owned_by(written, path))
    if not changed:
        assert document.text == written.text
    once = document.text
    assert not document.set(path, value)
    assert document.text == once
    assert same(Document.parse(once, name="f.yaml").data, expected)


@MANY
@given(strategies.files(), st.data())
def test_set_missing_then_remove(file, choice):
    data, written = file
    holders = [()] + [p for p in strategies.paths_of(data) if isinstance(reach(data, p), dict)]
    holder = choice.draw(st.sampled_from(holders))
    names = ["new", *choice.draw(st.lists(st.sampled_from(strategies.KEYS), max_size=2))]
    path = (*holder, *names)
    value = choice.draw(strategies.values)
    document = parse(written)
    expected = copy.deepcopy(data)
    put(expected, path, value)
    assert document.set(path, value)
    assert same(document.data, expected)
    flow = owned_by(written, holder) if holder in written.flow or is_flow(written, holder, data) else frozenset()
    assert is_kept(written.lines, document.text, without=flow)
    assert not document.set(path, value)
    if holder == () or reach(data, holder):
        assert document.remove(path)
        assert document.text == written.text


@MANY
@given(strategies.files(), st.data())
def test_remove(file, choice):
    data, written = file
    paths = list(strategies.paths_of(data))
    if not paths:
        return
    path = choice.draw(st.sampled_from(paths))
    document = parse(written)
    expected = copy.deepcopy(data)
    gone = take(expected, path)
    assert document.remove(path)
    assert same(document.data, expected)
    owned = owned_by(written, gone)
    if gone in written.owned and isinstance(gone[-1], str) and written.lines[min(owned)].lstrip().startswith("- "):
        # "- first: 1" hands its dash to the line of the next key
        following = [*reach(data, gone[:-1]), None]
        following = following[following.index(gone[-1]) + 1]
        owned |= {written.owned[(*gone[:-1], following)][0]} if following else set()
    assert is_kept(written.lines, document.text, without=owned)
    if not any(isinstance(key, int) for key in path):
        assert not document.remove(path)


@MANY
@given(strategies.files(), st.lists(st.tuples(st.sampled_from(strategies.KEYS), strategies.values), max_size=6))
def test_many_edits(file, edits):
    data, written = file
    document = parse(written)
    expected = copy.deepcopy(data)
    for key, value in edits:
        if isinstance(value, bool) and key in expected:
            take(expected, (key,))
            document.remove((key,))
        else:
            put(expected, (key,), value)
            document.set((key,), value)
    assert same(document.data, expected)


@MANY
@given(strategies.files(), st.data())
def test_edits_of_what_is_inherited_leave_the_anchor_alone(file, choice):
    """A random file below an anchor, merged into one mapping and aliased as another."""
    data, written = file
    shared = [line for line in written.lines if line not in ("---", "...", "second: 1")]
    head = [*("x: &x", "  in: it"), *("  " + line if line.strip() else line for line in shared)]
    text = written.newline.join([*head, "merged:", "  <<: *x", "  own: 1", "aliased: *x", ""])
    whole = {"in": "it", **data}
    expected = {"x": whole, "merged": {**copy.deepcopy(whole), "own": 1}, "aliased": copy.deepcopy(whole)}
    document = Document.parse(text, name="f.yaml")
    assert same(document.data, expected)
    name = choice.draw(st.sampled_from(["merged", "aliased"]))
    for path in choice.draw(
        st.lists(st.sampled_from([(name, *path) for path in strategies.paths_of(whole)]), max_size=3)
    ):
        if not has(expected, path):
            continue
        if choice.draw(st.booleans()):
            value = choice.draw(strategies.values)
            put(expected, path, value)
            document.set(path, value)
        else:
            take(expected, path)
            document.remove(path)
        assert same(document.data, expected)
    assert is_kept(head, document.text)
    assert "\n".join(document.text.splitlines()).startswith("\n".join(head))


def has(data, path):
    for key in path:
        if not isinstance(data, (dict, list)) or key not in (data if isinstance(data, dict) else range(len(data))):
            return False
        data = data[key]
    return True


def reach(data, path):
    for key in path:
        data = data[key]
    return data


def is_flow(written, path, data):
    return any((*path, key) in written.flow for key in reach(data, path)) if path else False
