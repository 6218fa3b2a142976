# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set the plan's levers in the services of one Compose document.

A lever is read as Compose and PostgreSQL mean it (1G is 1024m, C(on) is true)
and written only where it differs. C(below) is what the files that Compose reads
before this document say about a service.
"""

from __future__ import annotations

import posixpath
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import _compose_command as pg
from ansible_collections.synapse.tuning.plugins.module_utils._compose_command_source import edited_source
from ansible_collections.synapse.tuning.plugins.module_utils._compose_services import environment
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ServiceError, UnitError
from ansible_collections.synapse.tuning.plugins.module_utils._core.known_parameters import same_value
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import compose_bytes
from ansible_collections.synapse.tuning.plugins.module_utils._yaml import Document

__all__ = ["DROPIN_NAME", "Levers", "as_text"]

# What homeserver_file writes beside homeserver.yaml in mode override.
DROPIN_NAME = "homeserver.tuning.yaml"

_LIMITS = (
    ("memory_limit", ("mem_limit",), ("deploy", "resources", "limits", "memory")),
    ("memory_reservation", ("mem_reservation",), ("deploy", "resources", "reservations", "memory")),
)


class Levers:
    """Reads and sets levers in C(document); what it saw and did is in C(seen).

    seen: one dict a lever, in the shape that the modules return; notes: one
    line for each value that a variable gave and the plan's value replaced.
    """

    def __init__(
        self,
        document: Document,
        *,
        file: str,
        below: Mapping[str, Any],
        resolve: Callable[[Any], Any],
        legacy_limits: bool,
    ) -> None:
        self.document = document
        self.seen: List[Dict[str, Any]] = []
        self.notes: List[str] = []
        self._file = file
        self._below = below
        self._resolve = resolve
        self._legacy_limits = legacy_limits

    # -- reading -------------------------------------------------------------
    def current(self, service: str, *keys: str) -> Any:
        """What Compose takes at this place: the document's own value, else that below; None where absent."""
        own = self.document.get(("services", service, *keys))
        if own is not None:
            return own
        value: Any = self._below.get(service)
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def environment(self, service: str) -> Dict[str, Optional[str]]:
        """The service's environment, merged key by key as Compose does."""
        own = environment(self.document.get(("services", service)))
        return {**environment(self._below.get(service)), **own}

    def command_words(self, service: str) -> List[str]:
        """The arguments of the service's command; empty for the image's own."""
        return _words(self.current(service, "command"))

    def flags(self, service: str) -> Dict[str, str]:
        """The PostgreSQL parameters that the service's command sets, variables filled in."""
        return self.flags_of(self.current(service, "command"))

    def flags_of(self, command: Any) -> Dict[str, str]:
        """The same for a command as it stands in a file."""
        return {flag.name: str(self._resolve(flag.value)) for flag in pg.parse_flags(_words(command))}

    # -- memory --------------------------------------------------------------
    def set_limits(self, service: str, section: Mapping[str, Any]) -> None:
        """Set memory_limit and memory_reservation, in the keys that the service already uses."""
        legacy = any(self.current(service, *old) is not None for _lever, old, _new in _LIMITS)
        legacy = legacy or (self._legacy_limits and self.current(service, "deploy") is None)
        for lever, old, new in _LIMITS:
            if lever in section:
                # Both keys there: Compose refuses two that differ, so both follow.
                present = [keys for keys in (old, new) if self.current(service, *keys) is not None]
                self._set_size(service, lever, present or [old if legacy else new], section[lever]["value"])

    def set_shm_size(self, service: str, section: Mapping[str, Any]) -> None:
        """Set shm_size."""
        if "shm_size" in section:
            self._set_size(service, "shm_size", [("shm_size",)], section["shm_size"]["value"])

    def _set_size(self, service: str, lever: str, places: Sequence[Tuple[str, ...]], planned: Any) -> None:
        raw = [self.current(service, *keys) for keys in places]
        differing = [keys for keys, value in zip(places, raw) if not _same_size(self._resolve(value), planned)]
        shown = next((value for value in raw if value is not None), None)
        self._see(service, lever, self._resolve(shown), planned, bool(differing))
        for keys in differing:
            self._note_variable(service, lever, self.current(service, *keys))
            path = ("services", service, *keys)
            if planned is None:
                self.document.remove(path)
            else:
                self.document.set(path, planned)

    # -- environment ---------------------------------------------------------
    def set_environment(self, service: str, name: str, planned: Optional[str]) -> None:
        """Set one variable, in the form (list or map) in use; None takes it out."""
        raw = self.environment(service).get(name)
        current = self._resolve(raw)
        differs = current is not None if planned is None else current != planned
        self._see(service, f"environment.{name}", current, planned, differs)
        if not differs:
            return
        self._note_variable(service, f"environment.{name}", raw)
        path = ("services", service, "environment")
        escaped = None if planned is None else planned.replace("$", "$$")
        # A variable from below can't be removed here, but one without a value is
        # passed through from the shell, where it is not set.
        hidden = name in environment(self._below.get(service))
        if isinstance(self.document.get(path), list):
            self._set_listed(path, name, escaped, hidden)
        elif escaped is not None or hidden:
            self.document.set((*path, name), escaped)
        else:
            self.document.remove((*path, name))

    def _set_listed(self, path: Tuple[str, ...], name: str, value: Optional[str], hidden: bool) -> None:
        items = self.document.get(path)
        found = [index for index, item in enumerate(items) if str(item).partition("=")[0] == name]
        if value is None and not hidden:
            for index in reversed(found):
                self.document.remove((*path, index))
            return
        # Of several items the last one counts.
        index = found[-1] if found else len(items)
        self.document.set((*path, index), name if value is None else f"{name}={value}")

    # -- command: PostgreSQL -------------------------------------------------
    def set_parameters(self, service: str, wanted: Mapping[str, Optional[str]]) -> None:
        """Set PostgreSQL parameters as options in C(command).

        Raises ServiceError where what runs is not plainly C(postgres).
        """
        if not wanted:
            return
        try:
            self._check_entrypoint(service)
            words = self.command_words(service)
            before = {flag.name: flag.value for flag in pg.parse_flags(words)}
            edits = pg.edits_for(words, wanted, resolve=lambda text: str(self._resolve(text)))
        except ServiceError as error:
            raise ServiceError(f"{self._file}: service '{service}': {error}") from error
        for name, planned in wanted.items():
            current = self._resolve(before.get(name))
            if planned is None or current is None:
                differs = current is not planned
            else:
                differs = not same_value(name, current, planned)
            self._see(service, f"postgresql.{name}", current, planned, differs)
            if differs:
                self._note_variable(service, f"postgresql.{name}", before.get(name))
        if edits:
            self._edit_command(service, words, edits)

    def _check_entrypoint(self, service: str) -> None:
        entrypoint = self.current(service, "entrypoint")
        words = [as_text(word) for word in entrypoint] if isinstance(entrypoint, list) else as_text(entrypoint).split()
        if words and (len(words) > 1 or posixpath.basename(words[0]) != "docker-entrypoint.sh"):
            raise ServiceError(
                "it overrides the image's entrypoint, so its command cannot be edited safely; "
                "remove 'entrypoint', or name another service with db_service (synapse_tuning_db_service)"
            )

    def _edit_command(self, service: str, words: Sequence[str], edits: Sequence[pg.Edit]) -> None:
        path = ("services", service, "command")
        own = self.document.get(path)
        if isinstance(own, list) and own:
            self._edit_list(path, words, edits)
            return
        if isinstance(own, str) and pg.parse_flags(words) and self._edit_in_place(path, words, edits):
            return
        self._write_command(path, pg.apply_edits(words or ["postgres"], edits))

    def _edit_list(self, path: Tuple[str, ...], words: Sequence[str], edits: Sequence[pg.Edit]) -> None:
        length = len(words)
        for edit in edits:
            if isinstance(edit, pg.Replace):
                self.document.set((*path, edit.word), words[edit.word][: edit.offset] + edit.text)
            elif isinstance(edit, pg.Append):
                for word in edit.words:
                    self.document.set((*path, length), word)
                    length += 1
        removed = [index for edit in edits if isinstance(edit, pg.Remove) for index in edit.words]
        for index in sorted(removed, reverse=True):
            self.document.remove((*path, index))

    def _edit_in_place(self, path: Tuple[str, ...], words: Sequence[str], edits: Sequence[pg.Edit]) -> bool:
        """Change single words of a command string; False where it has to be written anew."""
        span, style = self.document.span(path), self.document.style(path)
        if span is None or style is None:
            return False
        text = self.document.text
        source = edited_source(text[span[0] : span[1]], style, words, edits)
        if source is None:
            return False
        edited = Document.parse(text[: span[0]] + source + text[span[1] :], name=self._file)
        value = edited.get(path)
        if not isinstance(value, str) or [word.text for word in pg.split(value)] != pg.apply_edits(words, edits):
            return False
        self.document = edited
        return True

    def _write_command(self, path: Tuple[str, ...], words: Sequence[str]) -> None:
        # A variable may stand for no argument or for several: only a string lets it.
        if any("$" in word for word in words) and not isinstance(self.current(path[1], path[2]), list):
            self.document.set(path, pg.join(words))
        else:
            self.document.set(path, list(words))

    # -- command: Synapse ----------------------------------------------------
    def set_dropin(self, service: str) -> None:
        """Make Synapse's command load the drop-in beside its homeserver.yaml, after the files it loads now.

        Raises ServiceError where the command is not one of the image's C(run).
        """
        variables = {name: self._resolve(value) for name, value in self.environment(service).items()}
        folder = variables.get("SYNAPSE_CONFIG_DIR") or "/data"
        main = variables.get("SYNAPSE_CONFIG_PATH") or posixpath.join(folder, "homeserver.yaml")
        words = self.command_words(service)
        loaded = _config_paths([str(self._resolve(word)) for word in words])
        dropin = posixpath.join(posixpath.dirname(loaded[0] if loaded else main), DROPIN_NAME)
        self._see(service, "homeserver_dropin", dropin if dropin in loaded else None, dropin, dropin not in loaded)
        if dropin in loaded:
            return
        if self.current(service, "entrypoint"):
            if not loaded:
                raise ServiceError(
                    f"{self._file}: service '{service}': it overrides the image's entrypoint, so what loads {dropin} "
                    "is unclear; add '--config-path' there yourself and set homeserver_dropin to false"
                )
        elif words[:1] not in ([], ["run"]):
            raise ServiceError(
                f"{self._file}: service '{service}': its command starts '{words[0]}', not 'run', so what loads "
                f"{dropin} is unclear; add '--config-path' there yourself and set homeserver_dropin to false"
            )
        for config in ([] if loaded else [main]) + [dropin]:
            glued = any(word.startswith("--config-path=") for word in words)
            words = [*(words or ["run"]), *([f"--config-path={config}"] if glued else ["--config-path", config])]
        self._write_command(("services", service, "command"), words)

    # -- what was seen -------------------------------------------------------
    def _see(self, service: str, lever: str, current: Any, planned: Any, differs: bool) -> None:
        self.seen.append(
            {
                "file": "compose",
                "service": service,
                "lever": lever,
                "current": current,
                "planned": planned,
                "differs": differs,
                "action": "recreate" if differs else "none",
            }
        )

    def _note_variable(self, service: str, lever: str, raw: Any) -> None:
        if isinstance(raw, str) and "$" in raw.replace("$$", ""):
            self.notes.append(f"service '{service}' took {lever} from {raw}; the plan's value replaces it")


def as_text(value: Any) -> str:
    """A YAML or plan value as PostgreSQL and a container's environment take it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _words(command: Any) -> List[str]:
    if isinstance(command, (list, tuple)):
        return [as_text(word) for word in command]
    return [word.text for word in pg.split(as_text(command))] if command is not None else []


def _same_size(current: Any, planned: Any) -> bool:
    if current is None or planned is None:
        return current is planned
    try:
        return compose_bytes(current) == compose_bytes(planned)
    except UnitError:
        return False


def _config_paths(words: Sequence[str]) -> List[str]:
    """The files that Synapse's options --config-path and -c name, in order."""
    paths: List[str] = []
    for index, word in enumerate(words):
        if word in ("--config-path", "-c"):
            paths.extend(words[index + 1 : index + 2])
        elif word.startswith("--config-path="):
            paths.append(word.partition("=")[2])
        elif word.startswith("-c"):
            paths.append(word[2:])
    return paths
