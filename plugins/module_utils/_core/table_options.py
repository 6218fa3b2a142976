# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Autovacuum settings of single tables: what ALTER TABLE has to set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ParameterError
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import as_text

__all__ = ["OptionChange", "plan_options", "reloptions", "wanted_options"]

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
        return _meaning(self.current) != _meaning(self.planned)

    def as_data(self) -> Dict[str, Any]:
        """For a module's answer."""
        return {
            "table": self.table,
            "option": self.option,
            "current": self.current,
            "planned": self.planned,
            "differs": self.differs,
        }


def wanted_options(tables: Optional[Mapping[str, Any]]) -> Dict[str, Dict[str, Optional[str]]]:
    """Table to option to text (None: none); raises ParameterError for anything but autovacuum's."""
    wanted: Dict[str, Dict[str, Optional[str]]] = {}
    for table, options in (tables or {}).items():
        if not isinstance(options, Mapping):
            raise ParameterError(
                f"tables.{table} is no mapping: write it as {table}: {{{_PREFIX}vacuum_scale_factor: 0.02}}"
            )
        for option in options:
            if "n_distinct" in option:
                raise ParameterError(f"tables.{table}.{option}: Synapse sets n_distinct itself, remove it")
            if not option.startswith(_PREFIX):
                raise ParameterError(f"tables.{table}.{option} is no setting of autovacuum's: remove it")
        wanted[table] = {option: None if value is None else as_text(value) for option, value in options.items()}
    return wanted


def reloptions(rows: Optional[Iterable[str]]) -> Dict[str, str]:
    """C(pg_class.reloptions), C(name=value) each, as a mapping."""
    return dict(row.partition("=")[::2] for row in rows or ())


def plan_options(
    wanted: Mapping[str, Mapping[str, Optional[str]]], current: Mapping[str, Mapping[str, str]]
) -> Tuple[OptionChange, ...]:
    """Compare, by table; current has each wanted table's options."""
    return tuple(
        OptionChange(table=table, option=option, current=current[table].get(option), planned=options[option])
        for table, options in sorted(wanted.items())
        for option in sorted(options)
    )


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
