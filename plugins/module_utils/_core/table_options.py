# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Autovacuum settings of single tables: what ALTER TABLE has to set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ParameterError
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import as_text

__all__ = ["OptionChange", "plan_options", "reloptions", "same_option", "wanted_options"]

_PREFIX = "autovacuum_"
_SWITCHES = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


@dataclass(frozen=True)
class OptionChange:
    """One wanted option of a table; current, planned: None for none."""

    table: str
    option: str
    current: Optional[str]
    planned: Optional[str]

    @property
    def differs(self) -> bool:
        """Whether the two mean different things: C(0.02) is C(0.020), C(on) is C(true)."""
        return not same_option(self.current, self.planned)

    def as_data(self) -> Dict[str, Any]:
        """For a module's answer."""
        return {
            "table": self.table,
            "option": self.option,
            "current": self.current,
            "planned": self.planned,
            "differs": self.differs,
        }


def wanted_options(
    planned: Mapping[str, Any], tables: Optional[Mapping[str, Any]]
) -> Dict[str, Dict[str, Optional[str]]]:
    """Table to option to text (None: none), of what a plan has, and of tables, which win.

    Raises ParameterError for anything but autovacuum's.
    """
    wanted: Dict[str, Dict[str, Optional[str]]] = {}
    for table, options in (*planned.items(), *(tables or {}).items()):
        if not isinstance(options, Mapping):
            raise ParameterError(
                f"tables.{table} is no mapping: write it as {table}: {{{_PREFIX}vacuum_scale_factor: 0.02}}"
            )
        for option in options:
            if "n_distinct" in option:
                raise ParameterError(f"tables.{table}.{option}: Synapse sets n_distinct itself, remove it")
            if not option.startswith(_PREFIX):
                raise ParameterError(f"tables.{table}.{option} is no setting of autovacuum's: remove it")
        texts = {option: None if value is None else as_text(value) for option, value in options.items()}
        wanted.setdefault(table, {}).update(texts)
    return wanted


def reloptions(rows: Optional[Iterable[str]]) -> Dict[str, str]:
    """C(pg_class.reloptions), C(name=value) each, as a mapping."""
    return dict(row.partition("=")[::2] for row in rows or ())


def plan_options(
    wanted: Mapping[str, Mapping[str, Optional[str]]], current: Mapping[str, Mapping[str, str]]
) -> Tuple[OptionChange, ...]:
    """Compare, by table; a table that current does not have is left out."""
    return tuple(
        OptionChange(table=table, option=option, current=current[table].get(option), planned=options[option])
        for table, options in sorted(wanted.items())
        if table in current
        for option in sorted(options)
    )


def same_option(one: Optional[str], other: Optional[str]) -> bool:
    """Whether both mean the same; None: no value."""
    return _meaning(one) == _meaning(other)


def _meaning(text: Optional[str]) -> Union[bool, float, str, None]:
    if text is None:
        return None
    word = text.strip().lower()
    if word in _SWITCHES:
        return _SWITCHES[word]
    try:
        return float(word)
    except ValueError:
        return word
