#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put a plan into Synapse's homeserver.yaml."""

from __future__ import annotations

DOCUMENTATION = r"""
module: homeserver_file
short_description: Put a plan into Synapse's homeserver.yaml
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Sets the cache factors, the size of the event cache, cache autotuning, the database's connection pool and the limits
    on remote rooms in an existing C(homeserver.yaml), as planned by M(synapse.tuning.plan_info).
  - Only what differs from the plan is edited. Comments, order, quotes, anchors, blank lines, line endings, owner and
    mode stay as they are, and so does every other line.
  - Values are compared as Synapse reads them. V(10K) is V(10240), V(5m) is V(300s) and V(300000).
  - Nothing is restarted. RV(restarts) says whether Synapse needs a restart, or only the signal C(HUP).
notes:
  - Needs ruamel.yaml on the host.
  - The connection pool (C(cp_min), C(cp_max)) is set for PostgreSQL only. For SQLite it is left out, with a warning.
  - Under C(databases) each PostgreSQL database gets the planned pool.
  - Factors of caches that Synapse does not know are left as they are, with a warning that names the nearest real cache.
extends_documentation_fragment:
  - synapse.tuning.file_change
  - synapse.tuning.backups
options:
  path:
    description:
      - The C(homeserver.yaml).
    type: path
    required: true
  mode:
    description:
      - V(in_place) edits the file.
      - V(override) leaves it alone and writes a drop-in beside it, which Synapse has to be started with as well. Synapse
        replaces whole sections by those of a later file, so the drop-in repeats the file's own sections (that of the
        database includes its password) and is made anew from them in each run. It gets the file's owner and mode.
    type: str
    choices: [in_place, override]
    default: in_place
  dropin_path:
    description:
      - The drop-in of O(mode=override).
      - The default is O(path) with C(.tuning.yaml) instead of C(.yaml).
    type: path
  service:
    description:
      - What Synapse's service is called in RV(levers) and RV(restarts).
    type: str
    default: synapse
seealso:
  - module: synapse.tuning.plan_info
  - module: synapse.tuning.compose_file
"""

EXAMPLES = r"""
- name: Plan for this host
  synapse.tuning.plan_info:
    users: 40
  register: planned

- name: Fit homeserver.yaml to it
  synapse.tuning.homeserver_file:
    plan: "{{ planned.plan }}"
    path: /opt/synapse/data/homeserver.yaml
  register: tuned

- name: Say what to do next
  ansible.builtin.debug:
    msg: "{{ item.service }} needs a {{ item.action }} because of {{ item.because | join(', ') }}"
  loop: "{{ tuned.restarts }}"

- name: Leave the file alone, and write homeserver.tuning.yaml
  synapse.tuning.homeserver_file:
    plan: "{{ planned.plan }}"
    path: /etc/matrix-synapse/homeserver.yaml
    dropin_path: /etc/matrix-synapse/conf.d/tuning.yaml
    mode: override
"""

RETURN = r"""
path:
  description: The file that was changed, or would be.
  type: str
  returned: success
  sample: /opt/synapse/data/homeserver.yaml
backup_file:
  description:
    - The copy of the file as it was before the run.
    - Null where nothing was written, none was wanted, or there was no file.
  type: str
  returned: success
  sample: /opt/synapse/data/homeserver.yaml.20260102T030405.678901Z.bak
run:
  description: The stamp of the run, for O(run) of the tasks that follow.
  type: str
  returned: success
  sample: 20260102T030405.678901Z
levers:
  description: Every lever of the plan, as it was before and as it is planned.
  type: list
  elements: dict
  returned: success
  contains:
    file:
      description: Always V(homeserver).
      type: str
    service:
      description: The value of O(service).
      type: str
    lever:
      description: The setting's dotted path, such as C(caches.global_factor).
      type: str
    current:
      description: The value before; null where it was not set.
      type: raw
    planned:
      description: The planned value; null where it must not be set.
      type: raw
    differs:
      description: Whether the two mean different things to Synapse.
      type: bool
    action:
      description:
        - What makes the planned value effective, V(reload) (the signal C(HUP)), V(restart) or V(none).
      type: str
  sample:
    - file: homeserver
      service: synapse
      lever: caches.global_factor
      current: 0.5
      planned: 0.2
      differs: true
      action: reload
restarts:
  description: What Synapse needs for the change to take effect, and the levers because of which. At most one entry.
  type: list
  elements: dict
  returned: success
  contains:
    service:
      description: The value of O(service).
      type: str
    action:
      description: V(restart), or V(reload) where the cache factors alone have changed.
      type: str
    because:
      description: The levers that differ, and sections of the drop-in that were out of date.
      type: list
      elements: str
  sample:
    - service: synapse
      action: reload
      because: [caches.global_factor]
notes:
  description: How Synapse has to be started for a drop-in to count; empty with O(mode=in_place).
  type: list
  elements: str
  returned: success
diff:
  description: The file before and after, secrets masked.
  type: dict
  returned: success
  contains:
    before:
      description: The text before; empty where the file did not exist.
      type: str
    after:
      description: The text after.
      type: str
    before_header:
      description: The file.
      type: str
    after_header:
      description: The file.
      type: str
warnings:
  description: What to know besides, one line each.
  type: list
  elements: str
  returned: when there are any
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.synapse.tuning.plugins.module_utils import _backups, _homeserver_file
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._deps import RUAMEL_YAML


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "dict", "required": True},
            "path": {"type": "path", "required": True},
            "mode": {"type": "str", "choices": ["in_place", "override"], "default": "in_place"},
            "dropin_path": {"type": "path"},
            "service": {"type": "str", "default": "synapse"},
            **_backups.OPTIONS,
        },
        supports_check_mode=True,
    )
    if RUAMEL_YAML.missing:
        module.fail_json(
            msg=missing_required_lib(RUAMEL_YAML.name, reason=RUAMEL_YAML.reason), exception=RUAMEL_YAML.error
        )
    try:
        keep = _backups.Keep.from_options(module.params)
        change = _homeserver_file.prepare(
            _homeserver_file.Request(
                plan=module.params["plan"],
                path=module.params["path"],
                override=module.params["mode"] == "override",
                dropin_path=module.params["dropin_path"],
                service=module.params["service"],
            )
        )
        written = _backups.Written(None, ())
        if change.changed and not module.check_mode:
            written = _homeserver_file.write(change, keep=keep)
    except TuningError as error:
        module.fail_json(msg=str(error))
    for warning in (*change.warnings, *written.warnings):
        module.warn(warning)
    module.exit_json(
        changed=change.changed,
        path=change.path,
        backup_file=written.backup_file,
        run=keep.run,
        levers=list(change.levers),
        restarts=list(change.restarts),
        notes=list(change.notes),
        diff=change.diff(),
    )


if __name__ == "__main__":
    main()
