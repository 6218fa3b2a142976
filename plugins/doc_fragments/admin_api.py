# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options by which modules ask Synapse's admin API."""

from __future__ import annotations


class ModuleDocFragment:
    """C(synapse.tuning.admin_api)."""

    DOCUMENTATION = r"""
requirements:
  - docker (Python), where Synapse is found by O(project_dir) or O(synapse_container)
notes:
  - The access token is sent to Synapse alone, never along a redirect, and is in no result, message or log.
  - Nothing is asked through a proxy of the environment where Synapse is on this host, in a container or at a private
    address.
  - A server that does not answer, or is being restarted, is asked again for a minute. Where it limits the rate of
    requests, it is waited for as long as it says, up to a minute.
options:
  url:
    description:
      - Synapse's base URL as the host reaches it, such as V(http://127.0.0.1:8008). With workers, that of the main process.
      - Without it Synapse's container is asked at its own address, where O(project_dir) or O(synapse_container) says
        which, and else V(http://127.0.0.1:8008).
    type: str
  access_token:
    description:
      - The access token of an administrator of the server. With the Matrix Authentication Service it takes a token with
        the scope C(urn:synapse:admin:*).
      - Without it and O(access_token_file), the variable E(SYNAPSE_TUNING_ACCESS_TOKEN) on the host is read.
    type: str
  access_token_file:
    description:
      - A file on the host that holds the token and that only its owner can read. Wins over O(access_token).
    type: path
  project_dir:
    description:
      - The directory of the Compose project. Synapse's container is found by its labels.
    type: path
  synapse_service:
    description:
      - The service that runs Synapse's main process, where its image does not tell.
    type: str
  synapse_container:
    description:
      - Synapse's container by its name, for those that Compose has not made. Wins over O(project_dir).
    type: str
  docker_host:
    description:
      - The Docker Engine's address, such as V(unix:///var/run/docker.sock).
      - The default is what E(DOCKER_HOST) says, and else the local engine.
    type: str
  timeout:
    description:
      - Seconds to wait for each answer.
    type: int
    default: 30
  validate_certs:
    description:
      - Whether the certificate of an O(url) with HTTPS is checked. Without it anybody in between gets the token.
    type: bool
    default: true
  ca_path:
    description:
      - A file of the authorities that may have signed that certificate.
    type: path
"""
