# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One value of the plan, with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Union

__all__ = ["Scalar", "Setting", "Settings", "as_data", "values_of"]

Scalar = Union[str, int, float, bool, None]


@dataclass(frozen=True)
class Setting:
    """A value as its program reads it.

    value: None means that the key must be absent.
    unit: what the value counts, empty for names and switches.
    why: the rule, in one sentence.
    source: where the rule comes from.
    wish: the value before the memory budget bounded it, where it did.
    """

    value: Scalar
    unit: str
    why: str
    source: str
    wish: Optional[Scalar] = None

    def as_data(self) -> Dict[str, Any]:
        data: Dict[str, Any] = {
            "value": self.value,
            "unit": self.unit,
            "why": self.why,
            "source": self.source,
        }
        if self.wish is not None:
            data["wish"] = self.wish
        return data


Settings = Dict[str, Setting]


def as_data(settings: Mapping[str, Setting]) -> Dict[str, Any]:
    """The settings as plain, JSON-serialisable data."""
    return {name: setting.as_data() for name, setting in settings.items()}


def values_of(section: Any) -> Any:
    """A section of a plan with each setting, at any depth, replaced by its value.

    Raises TypeError or AttributeError for what is no such section.
    """
    if "why" in section and "value" in section:
        return section["value"]
    return {name: values_of(each) for name, each in section.items()}
