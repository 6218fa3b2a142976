# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords stay where they were: in no output, diff, fact cache or process list, whatever the run has to do."""

from __future__ import annotations

import pathlib
import threading
import time
from types import TracebackType

import play
import pytest
from deployment import Deployment

pytestmark = pytest.mark.slow


class CommandLines:
    """Every command line on this machine while it is open, containers' processes among them."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(process.read_bytes())
                except OSError:  # it has ended
                    continue
            time.sleep(0.05)


def test_no_password_gets_anywhere(stock: Deployment, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    password = stock.settings["POSTGRES_PASSWORD"]
    # It is in both files that are changed: a variable in .env, and plainly in homeserver.yaml; once more plainly here.
    compose = stock.directory / "compose.yml"
    compose.write_text(compose.read_text(encoding="utf-8").replace("${POSTGRES_PASSWORD}", password), encoding="utf-8")
    stock.up()
    homeserver = (stock.directory / "data" / "homeserver.yaml").read_text(encoding="utf-8")
    secrets = [password, *(line.split('"')[1] for line in homeserver.splitlines() if "secret" in line and '"' in line)]
    assert len(secrets) == 4
    monkeypatch.setenv("ANSIBLE_CACHE_PLUGIN", "ansible.builtin.jsonfile")
    monkeypatch.setenv("ANSIBLE_CACHE_PLUGIN_CONNECTION", str(tmp_path / "facts"))
    monkeypatch.setenv("ANSIBLE_LOG_PATH", str(tmp_path / "ansible.log"))
    # Large, so that PostgreSQL is logged in to as well.
    planned = play.make_plan(database_size=4 * 1024**3)
    stock.register("ada")
    with CommandLines() as processes:
        check = play.tune(stock, planned, "--check", "--diff", "-vvv").must_succeed()
        run = play.tune(stock, planned, "--diff", "-vvv").must_succeed()
        # And what a failure prints.
        broken = {**planned, "homeserver": {**planned["homeserver"]}}
        broken["homeserver"]["caches.global_factor"] = {
            **planned["homeserver"]["caches.global_factor"],
            "value": "lots",
        }
        failed = play.tune(stock, broken, "--diff", "-vvv", wait_timeout=60)
        back = play.tune(
            stock, None, "--diff", "-vvv", playbook=play.PLAYBOOK.with_name("rollback.yml"), rollback_to="original"
        ).must_succeed()
    assert failed.returncode != 0
    assert any(b"ansible-playbook" in line for line in processes.seen) and len(processes.seen) > 50
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert tmp_path / "ansible.log" in written
    places = {
        "check": check.output,
        "run": run.output,
        "failure": failed.output,
        "rollback": back.output,
        "processes": b"\n".join(processes.seen).decode(errors="replace"),
        **{str(path): path.read_text(encoding="utf-8", errors="replace") for path in written},
    }
    assert [(place, secret) for place, text in places.items() for secret in secrets if secret in text] == []
