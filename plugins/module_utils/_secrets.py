# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hide secrets in the text of a configuration file, for diffs and messages."""

from __future__ import annotations

import re
from typing import Iterable, Optional, Set
from urllib.parse import unquote

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import YamlProblem
from ansible_collections.synapse.tuning.plugins.module_utils._yaml_tree import Node, parse

__all__ = ["MASK", "mask"]

MASK = "*********"

_ENDINGS = (
    r"(?:pass|passwd|password|passphrase|pwd|secret|token|pepper|credentials?|dsn"
    r"|(?:secret|private|public|signing|api|access|encryption|macaroon)[_-]?key|[_-]key)"
)
_SECRET_NAME = re.compile(rf"(?i){_ENDINGS}$")
# Names of the same family that hold no secret.
_HARMLESS_NAME = re.compile(r"(?i)^(?:.*requires_token|no[_-]?token)$")
_QUOTED = r"\"(?:[^\"\\\r\n]|\\.)*\"|'(?:[^'\r\n]|'')*'|\$\{[^}\r\n]*\}"
_URL = re.compile(
    r"(?P<name>(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@'\"]*)(?P<mid>:)(?P<secret>[^\s/@'\"]+)(?=@)"
)
# What the parser does not see: settings in comments, and in what is no YAML.
_SETTING = r"(?m)^(?P<name>[ \t]*(?:#[# \t]*)?(?:-[ \t]+)?[\"']?%s)(?P<mid>[\"']?[ \t]*:[ \t]+)(?P<secret>%s|[^\r\n]+?)(?=[ \t]+#|[ \t]*\r?$)"
# NAME=VALUE and --name VALUE in command lines and lists.
_ASSIGNMENT = r"(?<![A-Za-z0-9_-])(?P<name>%s)(?P<mid>[\"']?=|[\"']?:[ \t]+)(?P<secret>%s|[^\s\"',}\]]+)"
_OPTION = r"(?<![A-Za-z0-9_-])(?P<name>--?%s)(?P<mid>[ \t]+)(?P<secret>%s|[^\s\"',}\]]+)"
_INTERPOLATION = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*(?::?\?[^}]*)?\})")
# A weak password that is also an ordinary word: masked in its place, not in every image and user name.
_ORDINARY = frozenset(
    [
        "admin",
        "database",
        "db",
        "example",
        "false",
        "homeserver",
        "localhost",
        "matrix",
        "none",
        "null",
        "password",
        "postgres",
        "postgresql",
        "root",
        "secret",
        "synapse",
        "synapse_user",
        "test",
        "true",
        "user",
        "yes",
    ]
)
_SHORTEST = 4
# A number such as the factor of a cache whose name ends in "key".
_FACTOR = re.compile(r"[-+]?[0-9]{1,3}|[-+]?[0-9]*\.[0-9]+")


def mask(text: str, extra_keys: Iterable[str] = ()) -> str:
    """The text with its secrets replaced by asterisks, line for line.

    Secret is: a scalar under a key (or in a NAME=VALUE) named like a password, secret, token or key,
    or named in C(extra_keys); the password inside a URL; and every other place with the same value.
    References such as C(${POSTGRES_PASSWORD}) stay.
    """
    extra = frozenset(name.lower() for name in extra_keys)
    values: Set[str] = set()
    text = _mask_nodes(text, extra, values)

    def masked(found: re.Match[str]) -> str:
        secret = found["secret"]
        bare = secret[1:-1] if secret[:1] in "\"'" else secret
        if _HARMLESS_NAME.match(found["name"]) or not _is_value(bare):
            return found.group()
        values.update((bare, unquote(bare)))
        return found["name"] + found["mid"] + secret.replace(bare, MASK)

    names = "|".join([f"[a-z0-9_-]*{_ENDINGS}", *map(re.escape, sorted(extra))])
    text = _URL.sub(masked, text)
    for pattern in (_SETTING, _ASSIGNMENT, _OPTION):
        text = re.sub(pattern % (f"(?i:{names})", _QUOTED), masked, text)
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST and value.lower() not in _ORDINARY and MASK not in value:
            text = text.replace(value, MASK)
    return text


def _is_secret(name: str, extra: Iterable[str]) -> bool:
    return name.lower() in extra or (bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.match(name))


def _is_value(value: str) -> bool:
    """False for what tells nothing: nothing at all, a reference to a variable, a switch."""
    if not value or value.startswith(MASK) or value.lower() in ("true", "false", "null", "~", "yes", "no"):
        return False
    return not _INTERPOLATION.fullmatch(value) and not _FACTOR.fullmatch(value)


def _mask_nodes(text: str, extra: Iterable[str], values: Set[str]) -> str:
    """Mask the scalars under secret keys; leaves a text that is no YAML to the patterns."""
    body = text.lstrip("\ufeff")
    try:
        tree = parse(body, name="text", version="1.2")
    except YamlProblem:
        return text
    spans = []
    for root in tree.roots:
        for node in root.walk() if root else ():
            for name, value in node.pairs:
                if name.real.kind == "scalar" and _is_secret(name.real.value, extra):
                    for secret in _scalars(value):
                        spans.append((secret.start, secret.end, secret))
    for start, end, secret in sorted(spans, key=lambda span: span[0], reverse=True):
        values.add(secret.value)
        values.update(line.strip() for line in secret.value.splitlines())
        source = body[start:end]
        body = body[:start] + _mask_source(source, secret.style) + body[end:]
    return text[: len(text) - len(text.lstrip("\ufeff"))] + body


def _scalars(value: Optional[Node]) -> Iterable[Node]:
    nodes = [value] if value is not None and value.kind == "scalar" else value.items if value is not None else []
    return [node for node in nodes if node.kind == "scalar" and node.start >= 0 and _is_value(node.value)]


def _mask_source(source: str, style: str) -> str:
    """As many lines as the source has."""
    lines = source.splitlines(keepends=True)
    if style in ("|", ">"):
        return lines[0] + "".join(re.sub(r"[^\s].*[^\s]|[^\s]", MASK, line) for line in lines[1:])
    quote = style if style in ("'", '"') else ""
    rest = "".join(line[len(line.rstrip("\r\n")) :] for line in lines)
    return quote + MASK + quote if not rest else quote + MASK + rest + " " + MASK + quote
