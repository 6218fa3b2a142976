# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real PostgreSQL accepts every planned parameter, and understands it as it was meant."""

from __future__ import annotations

import math
from typing import Any

import pytest
from real import grid
from real.postgres import Refused, Validator, installations, meant

from ansible_collections.synapse.tuning.plugins.module_utils._core import host, plan

pytestmark = pytest.mark.slow

_MIB = 1024**2


def _parameters(made: dict[str, Any]) -> dict[str, str]:
    """What the compose file's command says: postgres -c name=value."""
    return {name: str(value) for name, value in grid.values(made["postgresql"]).items() if value is not None}


def test_both_versions_of_the_pypi_package_are_found() -> None:
    assert len(installations()) >= 2


def test_the_grid_is_wide(validator: Validator) -> None:
    with_postgresql = [made for made in grid.plans(validator.installation.major) if made["postgresql"]]
    assert len(with_postgresql) >= 500
    parameter_sets = grid.different([_parameters(made) for made in with_postgresql])
    assert len(parameter_sets) >= 100


def test_every_set_of_parameters_is_accepted(validator: Validator) -> None:
    def check(parameters: dict[str, str]) -> str | None:
        try:
            shared = validator.accept(parameters)
        except Refused as refusal:
            return f"{parameters}: {refusal}"
        # The control that the parameters arrived: PostgreSQL asks for at least its buffers.
        if shared * _MIB <= meant(parameters["shared_buffers"]):
            return f"{parameters}: asks for {shared} MB only"
        return None

    sets = [_parameters(made) for made in grid.plans(validator.installation.major) if made["postgresql"]]
    assert list(filter(None, map(check, grid.different(sets)))) == []


def test_every_value_is_understood_as_meant(validator: Validator) -> None:
    def check(parameter: tuple[str, str]) -> str | None:
        name, value = parameter
        understood = validator.meaning(name, value)
        wanted = meant(value)
        if isinstance(understood, float) and isinstance(wanted, float):
            same = math.isclose(understood, wanted, rel_tol=1e-9)
        else:
            same = understood == wanted
        return None if same else f"{name}={value} was understood as {understood}"

    plans = grid.plans(validator.installation.major)
    parameters = {parameter for made in plans for parameter in _parameters(made).items()}
    assert len(parameters) >= 50
    assert list(filter(None, map(check, sorted(parameters)))) == []


@pytest.mark.parametrize(
    "parameters, complaint",
    [
        ({"work_mem": "1kB"}, "outside the valid range"),
        ({"shared_buffers": "1.5Gb"}, 'Valid units for this parameter are "B", "kB", "MB"'),
        ({"effective_cache_sise": "1GB"}, "unrecognized configuration parameter"),
        # Refused together, though each of them is in range.
        ({"max_connections": "10", "superuser_reserved_connections": "11"}, "must be less than"),
    ],
)
def test_what_is_wrong_is_refused(validator: Validator, parameters: dict[str, str], complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        validator.accept(parameters)


def test_what_would_be_rounded_is_not_understood_as_meant(validator: Validator) -> None:
    # shared_buffers come in blocks of 8 kB: the read-back must show it, or it proves nothing.
    assert validator.meaning("shared_buffers", "1001kB") != meant("1001kB")


def test_the_budget_has_postgresqls_own_shared_memory(validator: Validator) -> None:
    golden = plan.make_plan(
        host.Inputs(
            users=5,
            ram=2048 * _MIB,
            cpus=2,
            synapse_version=grid.SYNAPSE_VERSION,
            postgresql_version=validator.installation.major,
        )
    )
    exact = validator.accept(_parameters(golden)) * _MIB
    budgeted = sum(row["bytes"] for row in golden["budget"] if row["component"] == "postgresql_shared")
    # Versions differ by a few MB in what they keep beside the buffers; within that the
    # budget must be right, and it must never be short by more.
    assert budgeted == pytest.approx(exact, abs=8 * _MIB)
