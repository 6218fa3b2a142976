# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that reach one another: a name with a port in it, TLS on that port, and no certificate checked."""

from __future__ import annotations

import datetime
import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from deployment import SYNAPSE_ID, Deployment

__all__ = ["PORT", "federate", "network"]

PORT = 8448

_LISTENER = f"""\
  - port: {PORT}
    tls: true
    type: http
    resources:
      - names: [federation]
"""
# Other servers have addresses of a private network here, which Synapse refuses by default.
_HOMESERVER = """
tls_certificate_path: /data/federation.crt
tls_private_key_path: /data/federation.key
federation_verify_certificates: false
ip_range_blacklist: []
"""


def federate(project: Deployment, *, server_name: str, alias: str) -> None:
    """Have a deployment that was created and never started be `server_name` to other servers.

    `alias` is its host name in the project's network. It must be the server name's part before the port, as in near
    and near:8448: a name with a port is asked for at that place, without DNS and well-known files.
    """
    if server_name != f"{alias}:{PORT}":
        raise ValueError(f"{server_name} is not {alias}:{PORT}, where others would look for it")
    data = project.directory / "data"
    _replace(data / "homeserver.yaml", 'server_name: "localhost"\n', f'server_name: "{server_name}"\n')
    # Behind the one that clients use, which whoever looks for one finds first.
    _replace(data / "homeserver.yaml", "  # Prometheus\n", f"{_LISTENER}  # Prometheus\n")
    with (data / "homeserver.yaml").open("a", encoding="utf-8") as stream:
        stream.write(_HOMESERVER)
    _certify(data, alias)
    image = "    image: matrixdotorg/synapse:v1.163.2\n"
    networks = f"    networks:\n      default:\n        aliases: [{alias}]\n"
    _replace(project.directory / "compose.yml", image, image + networks)


def network(project: Deployment) -> str:
    """Return the name of a deployment's Docker network."""
    return f"{project.settings['COMPOSE_PROJECT_NAME']}_default"


def _replace(path: pathlib.Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise ValueError(f"{path} is not the stock project's: it has {old!r} {text.count(old)} times")
    path.write_text(text.replace(old, new), encoding="utf-8")


def _certify(data: pathlib.Path, host: str) -> None:
    """Write a key and a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for file, content in (("federation.key", private), ("federation.crt", certificate.public_bytes(encoding))):
        (data / file).write_bytes(content)
        (data / file).chmod(0o600)
        os.chown(data / file, SYNAPSE_ID, SYNAPSE_ID)
