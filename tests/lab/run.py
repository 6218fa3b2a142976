# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the lab: a configuration on a host, from the same database, under the same load, to one record."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import pathlib
import shutil
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import configurations
import images
import remote
from dataset import Dataset
from deployment import Deployment
from engine import Engine
from federation import network
from hosts import host
from load import Client, Load, Profile, profile
from recorder import Recorder

from ansible_collections.synapse.tuning.plugins.module_utils._core.budget import operating_system_bytes

__all__ = ["GIB", "SERVICES", "Cell", "Writer", "measure", "started", "versions", "writer"]

GIB = 1024**3
Writer = Callable[[Deployment], dict[str, Any]]
SERVICES = {"synapse": "synapse", "db": "postgresql"}

_STEADY_SECONDS = 40.0
_SETTLING_SECONDS = 2.0
_JOIN_SECONDS = 120.0
_PURGE_SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class Cell:
    """A size of host and a number of users."""

    host_gib: float
    users: int

    @property
    def ram(self) -> int:
        return int(self.host_gib * GIB)


def measure(
    engine: Engine,
    dataset: Dataset,
    cell: Cell,
    configuration: str,
    *,
    seed: int,
    measured: dict[str, Any] | None = None,
    apply: Writer | None = None,
    room: remote.Size | None = remote.BIG,
    steady_seconds: float = _STEADY_SECONDS,
    purge: bool = True,
    observe: Callable[[Deployment], Any] | None = None,
) -> dict[str, Any]:
    """Do one run and return its record, without the numbers of its rotation.

    room: the other server's, which is joined over federation; None for no other server.
    measured: what `learned` learns from. apply: writes the configuration where it is none of `configurations`.
    purge: also purge that room in the end, and restart Synapse.
    observe: called on the server that runs, once the load has ended; its answer is `observed`.
    """
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        write = apply or writer(configuration, cell, measured)
        project, directory, decided = stack.enter_context(started(engine, dataset, cell, write))
        far = None
        if room is not None:
            serving = remote.serving(engine, directory / "far", network=network(project), size=room)
            far = stack.enter_context(serving)
        recorder = stack.enter_context(Recorder(project, SERVICES))
        recorder.mark("idle")
        idle = recorder.now()
        asked = profile(cell.users)
        steady: dict[str, int] = {}
        load = asyncio.run(_ask(project, dataset, asked, seed, recorder, steady_seconds, far, steady))
        # Neither is given back: shared memory that was touched, a connection that was opened.
        touched = recorder.shared_now().get("postgresql", 0)
        opened = int(project.sql("SELECT count(*) - 1 FROM pg_stat_activity WHERE usename = 'synapse'")[0][0])
        used = recorder.cpu_seconds()
        observed = observe(project) if observe else None
        purged = _purge_and_restart(project, dataset, far, recorder) if far and purge else {}
        peaks = recorder.peaks()
        return {
            "configuration": configuration,
            "host_gib": cell.host_gib,
            "users": cell.users,
            "seed": seed,
            "seconds": round(time.monotonic() - began, 1),
            "memory": {
                part: {
                    "idle": idle.get(part, sum(idle.values())),
                    "held_peak": peak,
                    "held_steady": steady.get(part, 0),
                    "pss_steady": steady.get(f"{part}_pss", 0),
                }
                for part, peak in peaks.items()
            },
            "touched": {"steady": steady.get("touched", 0), "peak": touched},
            "connections": opened,
            "marks": {name: round(seconds, 1) for name, seconds in recorder.marks.items()},
            "timeline": recorder.timeline(),
            "latency": load.latencies.summary(),
            "errors": sum(load.latencies.failed.values()),
            "error_samples": load.latencies.samples,
            "oom_kills": {"host": recorder.oom_kills()},
            "containers": recorder.describe(),
            "survived": _answers(project),
            "cpu_seconds": used,
            "purge": purged,
            "decided": decided,
            "observed": observed,
            "versions": versions(),
        }


@contextlib.contextmanager
def started(
    engine: Engine, dataset: Dataset, cell: Cell, write: Writer
) -> Iterator[tuple[Deployment, pathlib.Path, dict[str, Any]]]:
    """A server with a configuration, on a host of the cell's size, and what it decided; all of it is removed then.

    Its files are in a directory that there is room in for others.
    """
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(tempfile.mkdtemp(prefix="lab-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        project = dataset.create(engine, directory / "near")
        stack.callback(project.remove)
        decided = write(project)
        # What the plan leaves to the kernel and the engine is not the containers'.
        limits = stack.enter_context(host(cell.ram - operating_system_bytes(cell.ram)))
        # Its cgroup is removed after the containers are.
        stack.callback(project.down)
        limits.contain(project)
        project.up()
        yield project, directory, decided


def writer(configuration: str, cell: Cell, measured: dict[str, Any] | None = None) -> Writer:
    """What writes one of the configurations into a deployment, and returns what it decided."""
    return lambda project: configurations.apply(
        *(configuration, project),
        ram=cell.ram,
        cpus=2,
        users=cell.users,
        measured=measured,
        allow_large_joins=True,
    )


async def _ask(
    project: Deployment,
    dataset: Dataset,
    asked: Profile,
    seed: int,
    recorder: Recorder,
    seconds: float,
    far: Any,
    steady: dict[str, int],
) -> Load:
    users = dataset.users(asked.users)
    async with Client(project.url) as client:
        load = Load(client, users, seed=seed, public=dataset.public)
        await load.first_syncs(asked.first_syncs)
        recorder.mark("first syncs done")
        await load.steady(seconds, asked.rate, asked.waiting)
        recorder.mark("steady done")
        await asyncio.sleep(_SETTLING_SECONDS)
        now = recorder.now()
        proportional = recorder.pss_now()
        steady.update({**now, "total": sum(now.values()), "total_pss": sum(proportional.values())})
        steady["touched"] = recorder.shared_now().get("postgresql", 0)
        steady.update({f"{part}_pss": size for part, size in proportional.items()})
        if far is not None:
            await _join(load, client, users[0].token, far, recorder)
    return load


async def _join(load: Load, client: Client, token: str, far: Any, recorder: Recorder) -> None:
    """Join the large room of the other server, and look at it as a client does that opens it."""
    room = urllib.parse.quote(far.room_id)
    await load.measured(
        "federated_join",
        lambda: client.call("POST", f"/join/{room}", token=token, within=_JOIN_SECONDS, server_name=far.server_name),
    )
    recorder.mark("joined")
    await load.measured(
        "large_room_members",
        lambda: client.call("GET", f"/rooms/{room}/members", token=token, within=_JOIN_SECONDS),
    )
    await load.measured("large_room_sync", lambda: client.call("GET", "/sync", token=token, within=_JOIN_SECONDS))
    recorder.mark("large room seen")


def _purge_and_restart(project: Deployment, dataset: Dataset, far: Any, recorder: Recorder) -> dict[str, Any]:
    """Purge the large room, and restart Synapse: what each gives back."""
    before = recorder.now()
    quoted = urllib.parse.quote(far.room_id)
    token = dataset.admin_token

    async def purge() -> None:
        async with Client(project.url) as client:
            admin = "/_synapse/admin"
            started = await client.call("DELETE", f"/v2/rooms/{quoted}", {}, token=token, prefix=admin)
            path = f"/v2/rooms/delete_status/{started['delete_id']}"
            for _second in range(int(_PURGE_SECONDS * 2)):
                status = (await client.call("GET", path, token=token, prefix=admin))["status"]
                if status in ("complete", "failed"):
                    break
                await asyncio.sleep(0.5)
            if status != "complete":
                raise RuntimeError(f"the purge is {status} after {_PURGE_SECONDS:.0f} s")

    try:
        asyncio.run(purge())
    except Exception as error:  # a server that is down, too, is a result
        return {"failed": f"{type(error).__name__} {error}"[:200]}
    recorder.mark("purged")
    after = recorder.now()
    project.compose("restart", "--timeout", "20", "synapse")
    project.wait()
    time.sleep(_SETTLING_SECONDS)
    recorder.mark("restarted")
    return {"before": before, "after": after, "after_restart": recorder.now()}


def versions() -> dict[str, str]:
    """Of what is measured."""
    return {"synapse": _version(images.SYNAPSE), "postgresql": _version(images.POSTGRES)}


def _version(image: images.Image) -> str:
    return image.tag.rpartition(":")[2].lstrip("v")


def _answers(project: Deployment) -> bool:
    try:
        project.anonymous().server_version()
    except Exception:
        return False
    return True
