# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions that warn."""

from __future__ import annotations

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils._core.releases import (
    NEWEST,
    parse_version,
    release_warnings,
)


@pytest.mark.parametrize(
    ("version", "issues"),
    [
        (NEWEST, []),
        ("v1.157.2", []),
        ("1.157.1", ["2026-07-28"]),
        ("v1.149.1", ["2026-07-28"]),
        ("1.146.0", ["#19416", "2026-07-28"]),
        ("1.139.2", ["2026-07-28"]),
        ("1.130.0", ["#18380", "2026-07-28"]),
        ("1.91.2", ["#16210", "CVE-2024-52805", "#18380", "2026-07-28"]),
        ("latest", []),
        ("develop", []),
    ],
)
def test_warnings_name_the_flaw_and_the_cure(version: str, issues: list[str]) -> None:
    warnings = release_warnings(version)
    assert len(warnings) == len(issues)
    for warning, issue in zip(warnings, issues):
        assert issue in warning
        assert "upgrade" in warning


@pytest.mark.parametrize(
    ("text", "version"),
    [("v1.149.1", (1, 149, 1)), ("1.149", (1, 149, 0)), ("v1.163.2-rc1", (1, 163, 2)), ("latest", None), ("", None)],
)
def test_parsing(text: str, version: object) -> None:
    assert parse_version(text) == version
