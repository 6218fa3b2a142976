# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read from a running system. A source that could not be read is a C(Missing), never an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import Parameter
from ansible_collections.synapse.tuning.plugins.module_utils._core.server_state import FileEntry, RoleSetting
from ansible_collections.synapse.tuning.plugins.module_utils._core.trouble import Trouble

__all__ = [
    "ComposeFile",
    "Configuration",
    "ConfigurationFile",
    "Container",
    "CronJob",
    "Database",
    "Metrics",
    "Missing",
    "Process",
    "Readings",
    "RunningProject",
]


@dataclass(frozen=True)
class Missing:
    """A source that was not read. why: one line that says so, and what would help."""

    why: str


@dataclass(frozen=True)
class Metrics:
    """Synapse's metrics.

    version: that of the running Synapse, None where it does not say.
    cache_sizes: the maximum of each cache that was used since the start.
    """

    version: Optional[str]
    cache_sizes: Mapping[str, int]


@dataclass(frozen=True)
class ConfigurationFile:
    """A file that Synapse was started with.

    data: what it holds now. changed: it is newer than the process. started: what a changed
    one held when the process started, None where no backup proves it.
    """

    path: str
    data: Mapping[str, Any]
    changed: bool
    started: Optional[Mapping[str, Any]] = None


@dataclass(frozen=True)
class Configuration:
    """Synapse's files in the order in which they win, the last one most.

    unread: a drop-in of ours that lies beside them, but that Synapse was not started with.
    """

    files: Tuple[ConfigurationFile, ...]
    unread: Optional[ConfigurationFile] = None


@dataclass(frozen=True)
class Process:
    """Synapse's main process: its environment (planned variables only) and its allocator.

    cache_factors: the variables SYNAPSE_CACHE_FACTOR_NAME that it has, which beat its files.
    """

    environment: Mapping[str, str]
    cache_factors: Mapping[str, str]
    jemalloc: bool


@dataclass(frozen=True)
class Container:
    """A container as the engine has it; sizes in bytes, 0 where there is no limit.

    dev_shm: the size of /dev/shm as seen inside, None where that could not be read.
    environment: the planned variables only; variables hold passwords.
    """

    name: str
    image: str
    memory_limit: int
    memory_reservation: int
    shm_size: int
    dev_shm: Optional[int]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class ComposeFile:
    """What one compose file says now, by program (synapse, postgresql) and lever."""

    path: str
    said: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Database:
    """PostgreSQL.

    file_settings: by name the line that counts, as the files are now; None where the login may not
    read them.
    connections: open client connections by (role, database).
    name: the database that was asked. tables: the own options of the wanted tables that are there.
    """

    version: str
    parameters: Mapping[str, Parameter]
    file_settings: Optional[Mapping[str, FileEntry]]
    role_settings: Tuple[RoleSetting, ...]
    connections: Mapping[Tuple[str, str], int]
    name: str = ""
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class CronJob:
    """The compressor's entry of cron, or its timer, and what its script says.

    fields: minute, hour, day, month, weekday, or the words of a timer that says more; None where
    there is no entry or the timer is not enabled.
    script: its path; runnable: it is there and may be executed.
    variables: chunk_size and number_of_chunks, as written in the script.
    """

    path: str
    fields: Optional[Tuple[str, ...]]
    script: Optional[str]
    runnable: bool
    variables: Mapping[str, str]


@dataclass(frozen=True)
class RunningProject:
    """The Compose project that the containers are of.

    files: those to name to Compose, None where it finds them by itself.
    services: program (synapse, postgresql) to its service.
    """

    name: str
    files: Optional[Tuple[str, ...]]
    services: Mapping[str, str]


@dataclass(frozen=True)
class Readings:
    """All sources.

    compose_files: in the order in which they win, the last one most. cron: None to leave
    it out. project: None where Compose has made no container. engine: why the container
    engine does not answer, None where it does. trouble: the containers that do not run well.
    """

    metrics: Union[Metrics, Missing]
    configuration: Union[Configuration, Missing]
    process: Union[Process, Missing]
    synapse: Union[Container, Missing]
    postgresql: Union[Container, Missing]
    database: Union[Database, Missing]
    compose_files: Tuple[ComposeFile, ...] = ()
    cron: Union[CronJob, Missing, None] = None
    project: Optional[RunningProject] = None
    engine: Optional[Missing] = None
    trouble: Tuple[Trouble, ...] = ()

    @property
    def missing(self) -> Dict[str, str]:
        """Why a source was not read, of those that were not."""
        names = ("engine", "metrics", "configuration", "process", "synapse", "postgresql", "database", "cron")
        sources = {name: getattr(self, name) for name in names}
        return {name: source.why for name, source in sources.items() if isinstance(source, Missing)}
