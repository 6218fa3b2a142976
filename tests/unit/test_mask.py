# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret survives in what is shown, and all else does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._secrets import MASK
from ansible_collections.synapse.tuning.plugins.module_utils._yaml import mask

SECRET = "Zq9-hunter22"


@pytest.mark.parametrize(
    "text",
    [
        "password: {}\n",
        'password: "{}"   # why\n',
        "database:\n  args:\n    password: '{}'\n",
        '{{"database": {{"password": "{}"}}}}\n',
        "registration_shared_secret: {}\n",
        "macaroon_secret_key: {}\n",
        "recaptcha_private_key: {}\n",
        "form_secret: {}\n",
        "turn_shared_secret: {}\n",
        "email:\n  smtp_pass: {}\n",
        "oidc_providers:\n  - client_secret: {}\n",
        "password_config:\n  pepper: {}\n",
        "as_token: {}\n",
        "POSTGRES_PASSWORD: {}\n",
        "environment:\n  - POSTGRES_PASSWORD={}\n",
        "environment:\n  - 'PGPASSWORD={}'\n",
        "environment: [A=1, MACAROON_SECRET_KEY={}]\n",
        "url: postgres://synapse:{}@db:5432/synapse\n",
        "command: synapse_auto_compressor -p postgresql://u:{}@db/x -c 500\n",
        "command: tool --password={} --verbose\n",
        "command: tool --password {} --verbose\n",
        "# password: {}\n",
        "#   - POSTGRES_PASSWORD={}\n",
        "# url: redis://:{}@redis\n",
        "not: [yaml\npassword: {}\n",
        "not: [yaml\npassword: two words {}  # why\n",
        "# password: 'two words {}'\n",
        "#  - client_secret: two words {}\n",
        "password: &pw {}\nother: *pw\n",
        "password:\n  {}\n",
        "password: >-\n  {}\n",
        "passwords_of:\n  token:\n    - {}\n    - other\n",
        "x: 1\nsecret: {}\ncopy: {}\ntext: a {} within\n",
        "healthcheck:\n  test: PGPASSWORD={} psql\n",
    ],
)
def test_secrets_are_masked_wherever_they_stand(text):
    text = text.replace("{{", "\0").replace("}}", "\1").replace("{}", SECRET).replace("\0", "{").replace("\1", "}")
    shown = mask(text)
    assert SECRET not in shown
    assert MASK in shown
    assert shown.count("\n") == text.count("\n")
    assert mask(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "server_name: example.org\n",
        "signing_key_path: /data/example.org.signing.key\n",
        "trusted_key_servers:\n  - server_name: matrix.org\n",
        "registration_requires_token: true\n",
        "secrets:\n  - db_password\n",
        "POSTGRES_PASSWORD_FILE: /run/secrets/postgres\n",
        "password: ${POSTGRES_PASSWORD}\n",
        "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set it in .env}\n",
        "refresh_token_lifetime: 24h\n",
        "password:\n",
        "password_config:\n  enabled: false\n",
        "rc_login:\n  address:\n    per_second: 0.15\n",
        "image: postgres:15\nurl: http://localhost:8008/health\n",
        "labels:\n  - traefik.http.routers.key.rule=Host(`a`)\n",
        "caches:\n  per_cache_factors:\n    get_server_key: 1\n",
    ],
)
def test_what_is_no_secret_stays(text):
    assert mask(text) == text


def test_a_default_within_a_reference_is_a_secret():
    assert SECRET not in mask("POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:-" + SECRET + "}\n")


def test_a_word_that_is_also_a_password_is_masked_in_its_place_only():
    text = "image: postgres:15\nenvironment:\n  POSTGRES_USER: synapse\n  POSTGRES_PASSWORD: postgres\n"
    assert mask(text) == text.replace("PASSWORD: postgres", f"PASSWORD: {MASK}")


def test_a_key_over_several_lines_keeps_its_lines():
    text = "private_key: |\n  -----BEGIN KEY-----\n  AAAAB3Nz\n\n  zzzz9999\n  -----END KEY-----\nb: 1\n"
    shown = mask(text)
    assert "AAAA" not in shown
    assert "zzzz" not in shown
    assert len(shown.splitlines()) == len(text.splitlines())
    assert shown.endswith("b: 1\n")


def test_percent_encoded_passwords_are_masked_in_both_forms():
    shown = mask("url: postgres://u:a%2Fb%2Fcdef@db/x\nother: a/b/cdef\n")
    assert "a%2Fb" not in shown
    assert "a/b/cdef" not in shown


def test_more_names():
    assert "Zq9" not in mask(f"mine: {SECRET}\n", extra_keys=("mine",))


def test_mark_and_line_endings_stay():
    assert mask(f"\ufeffa: 1\r\npassword: {SECRET}\r\n") == f"\ufeffa: 1\r\npassword: {MASK}\r\n"


@settings(max_examples=200)
@given(st.text(alphabet="abcXYZ019!#$%&()*+,-./:;<=>?@[]^_{|}~'\"\\ ", min_size=6, max_size=30))
def test_any_password_that_synapse_can_read(secret):
    secret = "q9" + secret.strip() + "9q"
    quoted = secret.replace("'", "''")
    text = f"a: 1\ndatabase:\n  args:\n    user: x\n    password: '{quoted}'\n# b\nc: 2\n"
    shown = mask(text)
    assert secret not in shown
    assert quoted not in shown
    assert (
        re.sub(r"'\*{9}'", f"'{MASK}'", shown)
        == f"a: 1\ndatabase:\n  args:\n    user: x\n    password: '{MASK}'\n# b\nc: 2\n"
    )
