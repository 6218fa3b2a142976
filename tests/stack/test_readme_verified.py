# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the README shows of an applied run is what a run on a stock deployment prints."""

from __future__ import annotations

import play
import pytest
from deployment import Deployment
from readme import missing, shown

pytestmark = pytest.mark.slow


def test_the_applied_run(stock: Deployment) -> None:
    run = play.tune(stock, None, users=5, ram="2G", postgresql_version=15).must_succeed()
    printed = run.stdout.replace("[localhost]", "[matrix.example.org]").replace(str(stock.directory), "/srv/matrix")
    assert missing(shown("verified"), printed) == []
    # It is a whole success that is shown.
    assert "[WARNING]: not known" not in run.output
