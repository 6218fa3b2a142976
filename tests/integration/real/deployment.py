# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a written deployment (compose.yml, data/homeserver.yaml) says to each of its two programs.

This reads the files as Docker Compose would, so that they can run without Docker.
"""

from __future__ import annotations

import pathlib
import re
import shlex
from collections.abc import Mapping
from typing import Any

import yaml

__all__ = ["Deployment"]

# Where the official Synapse image has the deployment's data folder.
_CONTAINER_DATA = "/data"


class Deployment:
    """A deployment below a folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.homeserver_path = self.data / "homeserver.yaml"
        self.compose: dict[str, Any] = yaml.safe_load((folder / "compose.yml").read_text(encoding="utf-8"))
        self.homeserver: dict[str, Any] = yaml.safe_load(self.homeserver_path.read_text(encoding="utf-8"))

    def service(self, image: str) -> dict[str, Any]:
        """The one service whose image has this name."""
        services = self.compose["services"].values()
        (found,) = (each for each in services if re.search(rf"(^|/){image}(:|$)", each["image"]))
        return dict(found)

    def environment(self, service: Mapping[str, Any]) -> dict[str, str]:
        """A service's environment, whether it is written as a mapping or as a list."""
        given = service.get("environment") or {}
        if isinstance(given, list):
            given = dict(each.split("=", 1) for each in given)
        return {name: str(value) for name, value in given.items()}

    def postgresql_arguments(self) -> list[str]:
        """What follows the word postgres in the database service's command."""
        command = self.service("postgres")["command"]
        words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
        assert words[0] == "postgres"
        return words[1:]

    def postgresql_account(self) -> dict[str, str]:
        """user, password and database, as the official image takes them from its environment."""
        environment = self.environment(self.service("postgres"))
        return {
            "user": self._value(environment, "POSTGRES_USER"),
            "password": self._value(environment, "POSTGRES_PASSWORD"),
            "database": self._value(environment, "POSTGRES_DB"),
        }

    def _value(self, environment: Mapping[str, str], name: str) -> str:
        """A variable of the official image, which may be given as a file of Compose's secrets."""
        if name in environment:
            return environment[name]
        secret = self.compose["secrets"][pathlib.PurePosixPath(environment[f"{name}_FILE"]).name]
        return (self.folder / secret["file"]).read_text(encoding="utf-8").rstrip("\n")

    def on_loopback(self, *, ports: Mapping[str, int], postgresql_port: int) -> dict[str, Any]:
        """What a second configuration file must say for the written one to run without its container.

        Paths in the container's /data move to the folder here, the database to its port here, and
        the listeners to the loopback interface.  Nothing else: the rest is read from the written
        file as it stands.

        :param ports: for each type of listener (http, metrics) the port that it gets here.
        """
        moved = {key: self._moved(value) for key, value in self.homeserver.items()}
        moved["database"]["args"].update(host="127.0.0.1", port=postgresql_port)
        for listener in moved["listeners"]:
            listener.update(port=ports[listener["type"]], bind_addresses=["127.0.0.1"])
        return {key: value for key, value in moved.items() if value != self.homeserver[key]}

    def path(self, path: str) -> pathlib.Path:
        """A path of the Synapse container, here."""
        return pathlib.Path(self._moved(path))

    def _moved(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._moved(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._moved(item) for item in value]
        if isinstance(value, str):
            return re.sub(rf"^{_CONTAINER_DATA}(?=/|$)", str(self.data), value)
        return value
