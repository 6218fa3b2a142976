# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's command line: read as Compose and postgres read it, edited word by word."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils import _compose_command as pg
from ansible_collections.synapse.tuning.plugins.module_utils._compose_command_source import edited_source
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ServiceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.known_parameters import same_value


def words(source):
    return [word.text for word in pg.split(source)]


# -- split: each was shown to docker-compose 5.6 (see also tests/integration/test_compose_config.py) --------


@pytest.mark.parametrize(
    "source, expected",
    [
        ("postgres -c a=b", ["postgres", "-c", "a=b"]),
        ("  postgres\n\t-c   a=b\r\n", ["postgres", "-c", "a=b"]),
        ("postgres -c 'log_line_prefix=%m [%p] '", ["postgres", "-c", "log_line_prefix=%m [%p] "]),
        ('postgres -c work_mem="4MB"', ["postgres", "-c", "work_mem=4MB"]),
        (r"postgres -c a=b\ c", ["postgres", "-c", "a=b c"]),
        (r"""postgres -c "a=\"b\"" -c 'c=\d'""", ["postgres", "-c", 'a="b"', "-c", r"c=\d"]),
        ("postgres -c x='' ''", ["postgres", "-c", "x=", ""]),
        ("postgres # not a comment", ["postgres", "#", "not", "a", "comment"]),
        ("postgres -c a=${A:-1 2} ${B}", ["postgres", "-c", "a=${A:-1 2}", "${B}"]),
        ("", []),
    ],
)
def test_split(source, expected):
    assert words(source) == expected


@pytest.mark.parametrize(
    "source, said",
    [
        ("postgres -c a=b; rm x", "shell operator ';'"),
        ("postgres | tee log", "shell operator '|'"),
        ("postgres > log", "shell operator '>'"),
        ("postgres -c 'a=b", "open quote (')"),
        ('postgres -c "a=b', 'open quote (")'),
        ("postgres \\\n  -c a=b", "continues a line with a backslash"),
        ("postgres \\\r\n  -c a=b", "continues a line with a backslash"),
        ("postgres \\", "ends with a backslash"),
    ],
)
def test_split_refuses(source, said):
    with pytest.raises(ServiceError) as caught:
        pg.split(source)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_word_knows_its_place():
    source = "postgres -c 'work_mem=4MB'"
    word = pg.split(source)[2]
    assert source[word.start : word.end] == "'work_mem=4MB'"
    assert [source[origin] for origin in word.origins] == list("work_mem=4MB")


@pytest.mark.parametrize(
    "arguments",
    [["postgres", "-c", "a=b"], ["a b", 'c"d', "e\\f", ""], ["-c", "x=${A:-b}", "*'"], ["müller", "log=%t "]],
)
def test_join_is_the_reverse_of_split(arguments):
    assert words(pg.join(arguments)) == arguments


# -- flags -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, name, value, notation",
    [
        (["postgres", "-c", "work_mem=4MB"], "work_mem", "4MB", "pair"),
        (["postgres", "-cwork_mem=4MB"], "work_mem", "4MB", "glued"),
        (["postgres", "--work_mem=4MB"], "work_mem", "4MB", "long"),
        (["postgres", "--work-mem=4MB"], "work_mem", "4MB", "long"),
        (["postgres", "-c", "work-mem=4MB"], "work_mem", "4MB", "pair"),
        (["postgres", "-c", "WORK_MEM=4MB"], "work_mem", "4MB", "pair"),
        (["postgres", "-c", "a=b=c"], "a", "b=c", "pair"),
        (["postgres", "-N", "100"], "max_connections", "100", "short"),
        (["postgres", "-N100"], "max_connections", "100", "short"),
        (["postgres", "-B", "16384"], "shared_buffers", "16384", "short"),
        (["postgres", "-S", "4096"], "work_mem", "4096", "short"),
        (["postgres", "-FN100"], "max_connections", "100", "short"),
        (["-c", "work_mem=4MB"], "work_mem", "4MB", "pair"),
        (["docker-entrypoint.sh", "postgres", "-c", "work_mem=4MB"], "work_mem", "4MB", "pair"),
        (["/usr/lib/postgresql/16/bin/postgres", "-D", "/x", "-c", "work_mem=4MB"], "work_mem", "4MB", "pair"),
    ],
)
def test_every_notation_is_read(arguments, name, value, notation):
    (flag,) = pg.parse_flags(arguments)
    assert (flag.name, flag.value, flag.notation) == (name, value, notation)
    assert arguments[flag.words[-1]][flag.offset :] == value


def test_options_that_set_no_parameter_are_passed_over():
    arguments = ["postgres", "-h", "0.0.0.0", "-p", "5433", "-i", "-k/tmp", "-D", "/data", "${EXTRA}"]
    assert pg.parse_flags(arguments) == []


def test_the_image_s_own_command_sets_nothing():
    assert pg.parse_flags([]) == []


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["sh", "-c", "postgres -c a=b"], "starts 'sh', not 'postgres'"),
        (["/bin/bash", "-c", "exec postgres"], "starts '/bin/bash'"),
        (["gosu", "postgres", "postgres"], "starts 'gosu'"),
        (["postgres", "\n", "-c", "a=b"], "which postgres does not take"),
        (["postgres", "-c", "a=b", "extra"], "'extra'"),
        (["postgres", "-c"], "lacks its value"),
        (["postgres", "-c", "work_mem"], "without a value"),
        (["postgres", "-c work_mem=4MB"], "'-c work_mem=4MB' with a blank"),
        (["postgres", "-z"], "'-z', which postgres does not have"),
        (["postgres", "--"], "lacks its value"),
    ],
)
def test_what_is_not_plainly_postgres_is_refused(arguments, said):
    with pytest.raises(ServiceError) as caught:
        pg.parse_flags(arguments)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


# -- edits -------------------------------------------------------------------------------------------------


def tuned(arguments, wanted):
    return pg.apply_edits(arguments, pg.edits_for(arguments, wanted))


@pytest.mark.parametrize(
    "before, wanted, after",
    [
        # replaced where it stands, all else in its order
        ("postgres -c a=1 -c work_mem=1MB -c z=2", {"work_mem": "4MB"}, "postgres -c a=1 -c work_mem=4MB -c z=2"),
        ("postgres -cwork_mem=1MB", {"work_mem": "4MB"}, "postgres -cwork_mem=4MB"),
        ("postgres --work-mem=1MB", {"work_mem": "4MB"}, "postgres --work-mem=4MB"),
        ("postgres -N 100 -F", {"max_connections": "30"}, "postgres -N 30 -F"),
        ("postgres -FN100", {"max_connections": "30"}, "postgres -FN30"),
        ("postgres -B 16384", {"shared_buffers": "256MB"}, "postgres -B 32768"),
        ("postgres -B 128MB", {"shared_buffers": "256MB"}, "postgres -B 256MB"),
        ("postgres -S 1024", {"work_mem": "4MB"}, "postgres -S 4096"),
        # equal in another unit
        ("postgres -c work_mem=4096", {"work_mem": "4MB"}, "postgres -c work_mem=4096"),
        ("postgres -B 32768", {"shared_buffers": "256MB"}, "postgres -B 32768"),
        # of two of a name the last one counts
        ("postgres -c jit=off -c jit=on", {"jit": "off"}, "postgres -c jit=off -c jit=off"),
        ("postgres -c jit=on -c jit=off", {"jit": "off"}, "postgres -c jit=on -c jit=off"),
        # added in the notation that is there
        ("postgres", {"jit": "off"}, "postgres -c jit=off"),
        ("-c a=1", {"jit": "off"}, "-c a=1 -c jit=off"),
        ("postgres --a=1", {"jit": "off"}, "postgres --a=1 --jit=off"),
        ("postgres -ca=1", {"jit": "off"}, "postgres -ca=1 -cjit=off"),
        ("postgres -N 30", {"jit": "off"}, "postgres -N 30 -c jit=off"),
        ("postgres -c a=1 ${MORE}", {"jit": "off"}, "postgres -c a=1 ${MORE} -c jit=off"),
        # must be absent
        ("postgres -c a=1 -c jit=off -c z=2", {"jit": None}, "postgres -c a=1 -c z=2"),
        ("postgres --jit=off -c jit=on", {"jit": None}, "postgres"),
        ("postgres -c a=1", {"jit": None}, "postgres -c a=1"),
    ],
)
def test_edits(before, wanted, after):
    assert tuned(before.split(), wanted) == after.split()
    assert pg.edits_for(after.split(), wanted) == []


def test_variables_are_filled_in_before_the_comparison():
    arguments = ["postgres", "-c", "work_mem=${W}"]
    assert pg.edits_for(arguments, {"work_mem": "4MB"}, resolve=lambda text: text.replace("${W}", "4096")) == []
    assert pg.edits_for(arguments, {"work_mem": "4MB"}, resolve=lambda text: text.replace("${W}", "1MB")) != []


def test_a_flag_in_a_cluster_is_not_torn_out():
    with pytest.raises(ServiceError, match="cluster of short options"):
        pg.edits_for(["postgres", "-FN100"], {"max_connections": None})


NAMES = ("work_mem", "shared_buffers", "max_connections", "jit", "a")
VALUES = st.text(string.ascii_letters + string.digits + "._%", min_size=1, max_size=6)
OPTIONS = st.one_of(
    st.builds(lambda name, value: ["-c", f"{name}={value}"], st.sampled_from(NAMES), VALUES),
    st.builds(lambda name, value: [f"-c{name}={value}"], st.sampled_from(NAMES), VALUES),
    st.builds(lambda name, value: [f"--{name.replace('_', '-')}={value}"], st.sampled_from(NAMES), VALUES),
    st.builds(lambda letter, value: [f"-{letter}", value], st.sampled_from("NBSpk"), VALUES),
    st.sampled_from([["-F"], ["-i"], ["${MORE}"], ["-D", "/data"]]),
)
COMMANDS = st.lists(OPTIONS, max_size=6).map(lambda options: ["postgres", *(word for each in options for word in each)])
WANTED = st.dictionaries(st.sampled_from(NAMES), st.none() | VALUES, max_size=4)


@given(st.lists(st.text(max_size=8)))
def test_join_and_split_are_each_other_s_reverse(arguments):
    assert words(pg.join(arguments)) == arguments


@given(COMMANDS, WANTED)
def test_any_command_ends_up_as_wanted_with_all_else_in_its_order(arguments, wanted):
    after = tuned(arguments, wanted)
    assert pg.edits_for(after, wanted) == []
    flags = {flag.name: flag.value for flag in pg.parse_flags(after)}
    for name, value in wanted.items():
        if value is None:
            assert name not in flags
        else:
            assert same_value(name, flags[name], value)

    def others(command):
        owned = {word for flag in pg.parse_flags(command) if flag.name in wanted for word in flag.words}
        return [word for index, word in enumerate(command) if index not in owned]

    assert others(after) == others(arguments)


@given(COMMANDS, WANTED, st.sampled_from(["plain", "'", '"', ">", "|"]), st.sampled_from([" ", "\n    ", "\r\n  "]))
def test_an_edit_in_the_source_says_the_same_as_one_of_the_words(arguments, wanted, style, separator):
    body = separator.join(arguments)
    before = {"'": f"'{body}'", '"': f'"{body}"', ">": f">-\n    {body}\n", "|": f"|\n    {body}\n"}.get(style, body)
    edits = pg.edits_for(arguments, wanted)
    after = edited_source(before, style, arguments, edits)
    assert after is not None
    inner = {"plain": after, ">": after[2:], "|": after[1:]}.get(style, after[1:-1])
    assert words(inner) == pg.apply_edits(arguments, edits)


# -- in the source of a YAML scalar ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "style, before, value, after",
    [
        ("plain", "postgres -c jit=on", None, "postgres -c jit=off -c work_mem=4MB"),
        (
            "plain",
            "postgres\n      -c jit=on\n      -c a=1",
            None,
            "postgres\n      -c jit=off\n      -c a=1\n      -c work_mem=4MB",
        ),
        (
            ">",
            ">-  # flags\r\n      postgres\r\n      -c jit=on",
            "postgres -c jit=on",
            ">-  # flags\r\n      postgres\r\n      -c jit=off\r\n      -c work_mem=4MB",
        ),
        (
            "|",
            "|\n  postgres -c 'jit=on'\n\n    -c a=1\n",
            "postgres -c 'jit=on'\n\n  -c a=1\n",
            "|\n  postgres -c 'jit=off'\n\n    -c a=1\n    -c work_mem=4MB\n",
        ),
        (
            "'",
            "'postgres -c a=''x y'' -c jit=on'",
            "postgres -c a='x y' -c jit=on",
            "'postgres -c a=''x y'' -c jit=off -c work_mem=4MB'",
        ),
        (
            '"',
            '"postgres -c a=\\"x y\\" \\\n    -c jit=on"',
            'postgres -c a="x y" -c jit=on',
            '"postgres -c a=\\"x y\\" \\\n    -c jit=off -c work_mem=4MB"',
        ),
    ],
)
def test_only_the_words_that_change_are_touched(style, before, value, after):
    arguments = words(value if value is not None else before)
    edits = pg.edits_for(arguments, {"jit": "off", "work_mem": "4MB"})
    assert edited_source(before, style, arguments, edits) == after


def test_a_flag_is_removed_with_its_line():
    source = ">\n  postgres\n  -c jit=on\n  -c a=1\n"
    arguments = words("postgres -c jit=on -c a=1")
    assert edited_source(source, ">", arguments, pg.edits_for(arguments, {"jit": None})) == ">\n  postgres\n  -c a=1\n"


@pytest.mark.parametrize(
    "source, style, wanted",
    [
        ('"postgres \\x2dc jit=on"', '"', "off"),  # an escape that is not worth following
        ("postgres -c jit=", "plain", "off"),  # no character to replace
        ("postgres -c jit=on", "plain", "a b"),  # would need quotes
        ("postgres -c jit=on extra", "plain", "off"),  # not what the value says
    ],
)
def test_what_cannot_be_edited_in_its_place_is_left_to_be_written_anew(source, style, wanted):
    arguments = ["postgres", "-c", "jit=" if source.endswith("=") else "jit=on"]
    assert edited_source(source, style, arguments, pg.edits_for(arguments, {"jit": wanted})) is None
