# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The YAML editor by example: what stays, what moves, what is refused."""

from __future__ import annotations

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils import _yaml
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import YamlProblem
from ansible_collections.synapse.tuning.plugins.module_utils._yaml import Document, same


def parse(text, version="1.2"):
    return Document.parse(text, name="f.yaml", yaml_version=version)


def after_set(text, path, value, **options):
    document = parse(text, **options)
    assert document.set(path, value)
    assert same(document.get(path), value)
    assert not document.set(path, value), "a second time changes nothing"
    return document.text


def after_remove(text, path):
    document = parse(text)
    assert document.remove(path)
    assert not document.has(path)
    assert not document.remove(path)
    return document.text


# -- replacing ---------------------------------------------------------------------
@pytest.mark.parametrize(
    "before, value, after",
    [
        ("a: 1  # why\nb: 2\n", 3, "a: 3  # why\nb: 2\n"),
        ("a: 'x'\n", "z", "a: 'z'\n"),
        ("a: 'x'\n", "it's", "a: 'it''s'\n"),
        ("a: 'x'\n", "two\nlines", 'a: "two\\nlines"\n'),
        ('a: "x"\n', "z", 'a: "z"\n'),
        ("a: x\n", "z", "a: z\n"),
        ("a: x\n", "yes", 'a: "yes"\n'),
        ("a: 0.5\n", "0.2", 'a: "0.2"\n'),
        ('a: "0.5"\n', 0.2, "a: 0.2\n"),
        ("a: 0.5\n", 1e20, "a: 1.0e+20\n"),
        ("a:\n", 1, "a: 1\n"),
        ("a:   # nothing yet\n", 1, "a: 1   # nothing yet\n"),
        ("a:\n  # between\n  x\n", "z", "a:\n  # between\n  z\n"),
        ("a: plain\n  over lines\nb: 1\n", "z", "a: z\nb: 1\n"),
        ("a: |\n  one\n  two\n\nb: 1\n", "three\nfour\n", "a: |\n  three\n  four\n\nb: 1\n"),
        ("a: |-  # why\n    one\n", "three", "a: |-  # why\n    three\n"),
        ("a: >\n  one\n  two\n\nb: 1\n", "three four", "a: >-\n  three four\n\nb: 1\n"),
        ("a: |\n  one\n", " indented\n", 'a: " indented\\n"\n'),
        ("a: |\n  one\nb: 1\n", 5, "a: 5\nb: 1\n"),
        ("a: !!str 5\n", 6, "a: 6\n"),
        ("a: &x !!str 5\nb: *x\n", 6, "a: &x 6\nb: *x\n"),
        ("a: &x 5\nb: *x\n", 6, "a: &x 6\nb: *x\n"),
        ("x: &x 5\na: *x  # why\n", 6, "x: &x 5\na: 6  # why\n"),
        ("a: {b: 1}  # why\n", "x", "a: x  # why\n"),
        ("a:\n  b: 1\n  # c\n  c: 2  # d\n# e\nd: 1\n", "x", "a: x\n# e\nd: 1\n"),
        ("a:  # why\n- 1\n- 2\nd: 1\n", "x", "a: x  # why\nd: 1\n"),
        ("a: 1  # why\nd: 1\n", {"b": [1]}, "a:  # why\n  b:\n    - 1\nd: 1\n"),
        ("a:\n  text\nd: 1\n", {"b": 1}, "a:\n  b: 1\nd: 1\n"),
        ("a: &x\n  b: 1\nd: *x\n", [1], "a: &x\n  - 1\nd: *x\n"),
        ("a: [1, 2]\n", [1, 2, "x, y"], 'a: [1, 2, "x, y"]\n'),
        ("a: [1, 2, 3]  # why\n", [1], "a: [1]  # why\n"),
        ("a:\n- 1  # one\n- 2\n", [1, 3, 4], "a:\n- 1  # one\n- 3\n- 4\n"),
        ("a:\n  - 1\n  - b: 2\n    c: 3\n", [1, {"b": 4}], "a:\n  - 1\n  - b: 4\n"),
        ("a: {b: 1, c: 2}\n", {"c": 3}, "a: {c: 3}\n"),
        ("a: {b: 1, c: 2}\n", {}, "a: {}\n"),
        ("a: []\n", {"b": 1}, "a: {b: 1}\n"),
        ("{a, b}\n", 1, "{a: 1, b}\n"),
        ("{a: , b: 1}\n", 1, "{a: 1 , b: 1}\n"),
        ("? a\n: 1\nb: 1\n", 2, "? a\n: 2\nb: 1\n"),
        ("a: 1\r\nb: 2\r\n", {"c": 1}, "a:\r\n  c: 1\r\nb: 2\r\n"),
        ("\ufeffa: 1", 2, "\ufeffa: 2"),
        ("---\na: 1\n---\na: 1\n", 2, "---\na: 2\n---\na: 1\n"),
        ("%YAML 1.1\n---\na: 1\n...\n", 2, "%YAML 1.1\n---\na: 2\n...\n"),
    ],
)
def test_replace(before, value, after):
    assert after_set(before, ("a",), value) == after


# -- adding ------------------------------------------------------------------------
@pytest.mark.parametrize(
    "before, path, after",
    [
        ("", "new", "new: 1\n"),
        ("---\n", "new", "---\nnew: 1\n"),
        ("# only this\n", "new", "# only this\n\nnew: 1\n"),
        ("a: 1\n", "new", "a: 1\nnew: 1\n"),
        ("a: 1", "new", "a: 1\nnew: 1"),
        ("a: 1\r\n", "new.m", "a: 1\r\nnew:\r\n  m: 1\r\n"),
        ("a: 1\n\nb: 1\n", "new", "a: 1\n\nb: 1\n\nnew: 1\n"),
        ("a: 1\n\n\n# vim:ft=yaml", "new", "a: 1\nnew: 1\n\n\n# vim:ft=yaml"),
        ("a: 1\n\n# about b\n#b: 1\n", "new", "a: 1\n\n# about b\n#b: 1\n\nnew: 1\n"),
        ("a: 1\n...\n", "new", "a: 1\nnew: 1\n...\n"),
        ("a: 1\n---\nb: 1\n", "new", "a: 1\nnew: 1\n---\nb: 1\n"),
        ("a:\n    b: 1\nc: 1\n", "a.new", "a:\n    b: 1\n    new: 1\nc: 1\n"),
        ("a:\n    b: 1\nc: 1\n", "new.m", "a:\n    b: 1\nc: 1\nnew:\n    m: 1\n"),
        ("a:\n  b: 1\n\n# about c\nc: 1\n", "a.new", "a:\n  b: 1\n  new: 1\n\n# about c\nc: 1\n"),
        ("a:\n  b: 1\n\n  # ends a\nc: 1\n", "a.new", "a:\n  b: 1\n\n  # ends a\n  new: 1\nc: 1\n"),
        ("a:\n  b: |\n    x\n\nc: 1\n", "a.new", "a:\n  b: |\n    x\n  new: 1\n\nc: 1\n"),
        ("a:\n  b: |+\n    x\n\nc: 1\n", "a.new", "a:\n  b: |+\n    x\n\n  new: 1\nc: 1\n"),
        ("a:\nc: 1\n", "a.new", "a:\n  new: 1\nc: 1\n"),
        ("a:   # why\n  #new: 2\nc: 1\n", "a.new", "a:   # why\n  new: 1\n  #new: 2\nc: 1\n"),
        ("a: ~\n", "a.new", "a:\n  new: 1\n"),
        ("a: {}\n", "a.new", "a: {new: 1}\n"),
        ("a: {b: 1}\n", "a.new.m", "a: {b: 1, new: {m: 1}}\n"),
        ("a: { b: 1 }\n", "a.new", "a: { b: 1, new: 1 }\n"),
        ("a: {b: 1, }\n", "a.new", "a: {b: 1, new: 1, }\n"),
        ('{"a": 1}\n', "new", '{"a": 1, "new": 1}\n'),
        ('{\n  "a": 1   # why\n}\n', "new", '{\n  "a": 1,   # why\n  "new": 1\n}\n'),
        ("{\n  a: 1,\n}\n", "new", "{\n  a: 1,\n  new: 1,\n}\n"),
        ("a:\n- b: 1\n  c: 2\n- d\n", ("a", 0, "new"), "a:\n- b: 1\n  c: 2\n  new: 1\n- d\n"),
        ("a:\n- b\n# about c\nc: 1\n", ("a", 1), "a:\n- b\n- 1\n# about c\nc: 1\n"),
        ("a:\n  - b\n", ("a", 1), "a:\n  - b\n  - 1\n"),
        ("a:\n", ("a", 0), "a:\n  - 1\n"),
        ("b:\n- 1\na:\n", ("a", 0), "b:\n- 1\na:\n- 1\n"),
        ("a: [b]\n", ("a", 1), "a: [b, 1]\n"),
        ("a: 1\n", ("*getEvent*",), 'a: 1\n"*getEvent*": 1\n'),
        ("a: 1\n", ("yes",), 'a: 1\n"yes": 1\n'),
        ("a: 1\n", ("b: c",), 'a: 1\n"b: c": 1\n'),
    ],
)
def test_add_and_take_back(before, path, after):
    path = tuple(path.split(".")) if isinstance(path, str) else path
    document = parse(before)
    assert document.set(path, 1)
    assert document.text == after
    assert not document.set(path, 1)
    document.remove(path)
    if parse(before).get(path[:1], 0) not in (None, {}):  # an empty parent goes, whoever left it empty
        assert document.text == before


def test_existing_blank_lines_at_the_end_stay_there():
    document = parse("a: 1\n\nb: 1\n\n\n")
    document.set(("new",), 1)
    assert document.text == "a: 1\n\nb: 1\n\nnew: 1\n\n\n"


def test_a_commented_out_example_is_no_section():
    text = "a: 1\n#caches:\n#  global_factor: 1\n"
    assert after_set(text, ("caches", "global_factor"), 2) == text + "\ncaches:\n  global_factor: 2\n"


# -- removing ----------------------------------------------------------------------
@pytest.mark.parametrize(
    "before, path, after",
    [
        ("a: 1\nb: 2  # why\nc: 3\n", "b", "a: 1\nc: 3\n"),
        ("a: 1\nb: 2", "b", "a: 1"),
        ("a: 1\n", "a", ""),
        ("a: 1\n\nb: 2\n\nc: 3\n", "b", "a: 1\n\nc: 3\n"),
        ("a: 1\n\nb: 2\n", "b", "a: 1\n"),
        ("a: 1\n# about b\nb: 2\n", "b", "a: 1\n# about b\n"),
        ("a:\n  b:\n    c: 1\nd: 1\n", "a.b.c", "d: 1\n"),
        ("a:\n  # mine\n  b: 1\n  # ends\nd: 1\n", "a.b", "  # mine\n  # ends\nd: 1\n"),
        ("a:\n  b: |+\n    x\n\nd: 1\n", "a.b", "d: 1\n"),
        ("a: {b: 1, c: 2}\n", "a.b", "a: {c: 2}\n"),
        ("a: {b: 1, c: 2}\n", "a.c", "a: {b: 1}\n"),
        ("a: {b: {c: 2}, d: 1}\n", "a.b.c", "a: {d: 1}\n"),
        ("{\n  a: 1,\n  b: 2,  # why\n  c: 3\n}\n", "b", "{\n  a: 1,\n  c: 3\n}\n"),
        ("{\n  a: 1,  # why\n  b: 2\n}\n", "b", "{\n  a: 1  # why\n}\n"),
        ("a:\n- b: 1\n  c: 2\n", ("a", 0, "b"), "a:\n- c: 2\n"),
        ("a:\n- b: 1\n  # about c\n  c: 2\n", ("a", 0, "b"), "a:\n- \n  # about c\n  c: 2\n"),
        ("a:\n- b: 1\n- c\n", ("a", 0, "b"), "a:\n- c\n"),
        ("a:\n  - 1\n  - - 2\n    - 3\n", ("a", 1, 0), "a:\n  - 1\n  - - 3\n"),
        ("a: [1, 2]\n", ("a", 0), "a: [2]\n"),
        ("a: &x\n  b: 1\nc: *x\n", "a.b", "a: &x {}\nc: *x\n"),
    ],
)
def test_remove(before, path, after):
    path = tuple(path.split(".")) if isinstance(path, str) else path
    document = parse(before)
    assert document.remove(path)
    assert document.text == after


def test_what_is_not_there_is_not_removed():
    document = parse("a: {b: 1}\n")
    assert not document.remove(("a", "c"))
    assert not document.remove(("x", "z"))
    assert not document.remove(("a", "b", "c"))
    assert document.text == "a: {b: 1}\n"


# -- aliases and merge keys --------------------------------------------------------
ENV = "x-env: &env\n  A: 1  # one\n  B: 2\n"


@pytest.mark.parametrize(
    "before, path, after",
    [
        ("s:\n  env: *env\n", ("s", "env", "NEW"), "s:\n  env:\n    <<: *env\n    NEW: 0\n"),
        ("s:\n  env: *env\n", ("s", "env", "A"), "s:\n  env:\n    <<: *env\n    A: 0\n"),
        ("s:\n  env: *env  # why\n", ("s", "env"), "s:\n  env: 0  # why\n"),
        ("s: {env: *env }\n", ("s", "env", "A"), "s: {env: {<<: *env, A: 0} }\n"),
        ("s:\n  <<: *env\n  C: 3\n", ("s", "A"), "s:\n  <<: *env\n  C: 3\n  A: 0\n"),
        ("s:\n  <<: [*env]\n", ("s", "NEW"), "s:\n  <<: [*env]\n  NEW: 0\n"),
    ],
)
def test_an_inherited_value_is_overridden_locally(before, path, after):
    document = parse(ENV + before)
    assert document.set(path, 0)
    assert document.text == ENV + after
    assert document.get(("x-env",)) == {"A": 1, "B": 2}


def test_a_mapping_within_a_merge_is_copied():
    base = "x: &x\n  deploy:\n    limits: {memory: 1G, cpus: 1.10}\n    replicas: 1\n"
    document = parse(base + "s:\n  <<: *x\n")
    assert document.set(("s", "deploy", "limits", "memory"), "2G")
    assert document.text == base + ("s:\n  <<: *x\n  deploy:\n    limits: {memory: 2G, cpus: 1.10}\n    replicas: 1\n")


def test_an_aliased_list_is_copied():
    document = parse("a: &a [postgres, -c, x=1]\nb: *a\n")
    assert document.set(("b", 2), "x=2")
    assert document.text == "a: &a [postgres, -c, x=1]\nb: [postgres, -c, x=2]\n"


@pytest.mark.parametrize(
    "before, after",
    [
        ("s:\n  <<: *env\n  C: 3\n", "s:\n  C: 3\n  B: 2\n"),
        ("s:\n  <<: *env\n  A: 3\n", "s:\n  B: 2\n"),
        ("s: *env\n", "s:\n  B: 2\n"),
        ("s: {<<: *env, C: 3}\n", "s: {C: 3, B: 2}\n"),
    ],
)
def test_removing_an_inherited_key_writes_the_merge_out(before, after):
    document = parse(ENV + before)
    assert document.remove(("s", "A"))
    assert document.text == ENV + after
    assert document.get(("x-env", "A")) == 1


def test_who_follows_an_edit_is_known():
    document = parse("a: &a\n  b: &b 1\nc:\n  <<: *a\nd: *b\ne: 1\n")
    assert document.shared(("a", "b")) == [4, 5]
    assert document.shared(("e",)) == []
    assert document.shared(("c", "b")) == []
    document.set(("a", "b"), 2)
    assert document.data == {"a": {"b": 2}, "c": {"b": 2}, "d": 2, "e": 1}


def test_merges_read_as_everywhere():
    document = parse("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  z: 3\nd: {'<<': 4}\n")
    assert document.get(("c",)) == {"x": 1, "y": 1, "z": 3}
    assert document.get(("d",)) == {"<<": 4}
    assert document.inherited(("c", "y"))
    assert not document.inherited(("c", "z"))
    assert not document.inherited(("c", "nothing"))


# -- what else it tells ------------------------------------------------------------
def test_places():
    document = parse("\ufeffa: &x >-\n  folded\n  text\n\nb: *x\nc: [1]\n")
    start, end = document.span(("a",))
    assert document.text[start:end] == ">-\n  folded\n  text"
    assert document.style(("a",)) == ">"
    assert document.style(("c",)) == "flow"
    assert document.style(("b",)) == ">"
    assert document.style(("z",)) is None
    assert document.span(("b",)) is None
    assert document.span(("z",)) is None
    assert document.line(("c",)) == 6
    assert document.line(("c", 0)) == 6


def test_replacing_the_source_of_a_value():
    document = parse("a: >-\n  -c one=1\n  -c two=2\nb: 1\n")
    start, end = document.span(("a",))
    source = document.text[start:end].replace("one=1", "one=3")
    document.replace_scalar_source(("a",), source, expect="-c one=3 -c two=2")
    assert document.text == "a: >-\n  -c one=3\n  -c two=2\nb: 1\n"
    with pytest.raises(YamlProblem, match="edit it by hand"):
        document.replace_scalar_source(("a",), "x", expect="z")
    with pytest.raises(YamlProblem, match="'z' has no value of its own"):
        document.replace_scalar_source(("z",), "x", expect="x")
    assert document.text == "a: >-\n  -c one=3\n  -c two=2\nb: 1\n"


def test_equal_decides_what_stays():
    document = parse("a: 10K\n")
    assert not document.set(("a",), 10240, equal=lambda old, new: old == "10K" and new == 10240)
    assert document.text == "a: 10K\n"
    assert parse("a: 1\n").set(("a",), True), "1 is not true"
    assert not parse("a: 1\n").set(("a",), 1.0)


def test_both_readings():
    text = "a: yes\nb: 1:30\nc: 0o17\nd: 017\ne: 1_000\nf: 1e3\n"
    assert parse(text, "1.1").data == {"a": True, "b": 90, "c": "0o17", "d": 15, "e": 1000, "f": "1e3"}
    assert parse(text, "1.2").data == {"a": "yes", "b": "1:30", "c": 15, "d": 15, "e": 1000, "f": 1000.0}


def test_tabs_between_tokens_are_read_as_compose_does_and_refused_as_synapse_does():
    text = "a: 1\t# one\nb:\t2\nc: 'x'\t\t# two tabs\n"
    assert after_set(text, ("a",), 3) == text.replace("1", "3")
    with pytest.raises(YamlProblem, match=r"f\.yaml:1:5: .*'\\t'"):
        parse(text, "1.1")
    with pytest.raises(YamlProblem, match=r"f\.yaml:2:1: "):
        parse("a:\n\tb: 1\n")


# -- what is refused ---------------------------------------------------------------
@pytest.mark.parametrize(
    "text, message",
    [
        ("a: 1\nb: [1\n", r"f\.yaml:3:1: .*; correct the YAML there"),
        ("a: 1\r\n\r\n  b: 2\r\n", r"f\.yaml:3:4: mapping values are not allowed"),
        ("é: 'x\n", r"f\.yaml:2:1: found unexpected end of stream"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", r"f\.yaml:4:3: the key 'b' is there twice \(first on line 2\)"),
        ("\ufeffa: 1\n'a': 2\n", r"f\.yaml:2:1: the key 'a' is there twice"),
        ("a: 1\n---\nb: 1\nb: 2\n", r"f\.yaml:4:1: the key 'b' is there twice"),
        ("- 1\n", r"f\.yaml:1:1: the document is not a mapping"),
        ("\n\ntext\n", r"f\.yaml:3:1: the document is not a mapping"),
        ("a: *x\n", r"f\.yaml:1:4: the alias '\*x' has no anchor before it"),
        ("a: &x\n  b: *x\n", r"f\.yaml:2:6: the alias '\*x' contains itself"),
        ("a:\n  <<: 5\n", r"f\.yaml:2:7: '<<' takes a mapping"),
        ("a: \x00\n", r"f\.yaml:1:4: the character U\+0000"),
        ("a: " + "[" * 5000, r"f\.yaml:1:1: nested too deeply"),
    ],
)
def test_one_line_with_file_line_and_column(text, message):
    with pytest.raises(YamlProblem, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)


@pytest.mark.parametrize(
    "text, path, message",
    [
        ("a: 5\n", ("a", "b"), r"f\.yaml:1:4: 'a' is not a mapping"),
        ("a: [1]\n", ("a", "b"), r"f\.yaml:1:4: 'b' is no index of this list"),
        ("a: [1]\n", ("a", 2), r"f\.yaml:1:4: '2' is no index of this list"),
        ("? a\nb: 1\n", ("a",), r"f\.yaml:1:3: this key has no ': VALUE'"),
        ("a: &x {b: 1}\nc: *x\n", ("a",), r"f\.yaml:\d+:\d+: cannot edit this .*edit it by hand"),
    ],
)
def test_what_cannot_be_set_leaves_the_text_alone(text, path, message):
    document = parse(text)
    if path == ("a",) and "*x" in text:
        with pytest.raises(YamlProblem, match=message):
            document.remove(path)
    else:
        with pytest.raises(YamlProblem, match=message):
            document.set(path, 1)
    assert document.text == text


def test_an_edit_that_would_change_something_else_is_not_made(monkeypatch):
    document = parse("a: 1\nb: 2\n")
    monkeypatch.setattr(_yaml.edit, "replace", lambda *_: [(0, 9, "a: 3\nb: 4")])
    with pytest.raises(YamlProblem, match=r"f\.yaml:1:4: cannot edit this \(it would change something else\)"):
        document.set(("a",), 3)
    assert document.text == "a: 1\nb: 2\n"
    assert document.data == {"a": 1, "b": 2}


def test_removing_the_last_key_of_what_is_inherited_removes_it_all():
    base = "x: &x\n  deploy: {limits: 1}\n  image: y\n"
    document = parse(base + "s:\n  <<: *x\n")
    assert document.remove(("s", "deploy", "limits"))
    assert document.text == base + "s:\n  image: y\n"
    document = parse(base + "s:\n  <<: *x\n  deploy: {replicas: 1}\n")
    assert document.remove(("s", "deploy", "replicas"))
    assert document.get(("s",)) == {"image": "y"}, "and not the one that was overridden"
