#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compare a plan with what is in effect on the running system."""

from __future__ import annotations

DOCUMENTATION = r"""
module: effective_info
short_description: Compare a plan with what is in effect on the running system
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Reads every lever of a plan, as M(synapse.tuning.plan_info) makes it, back from the running Synapse, PostgreSQL and
    their containers, and says of each whether it is in effect, and if not, why.
  - Cache sizes come from Synapse's metrics, parameters from C(pg_settings), options of tables from C(pg_class), limits
    and shared memory from the Docker Engine and from inside the container, the environment and the allocator from
    Synapse's process, and the rest from the configuration files that Synapse was started with. Of one that has changed since, the backup that
    M(synapse.tuning.homeserver_file) keeps beside it tells what Synapse had read.
  - A source that can't be read makes its levers V(unknown), and says what is missing. It is never an error.
  - Changes nothing.
extends_documentation_fragment:
  - synapse.tuning.running
options:
  plan:
    description:
      - The plan that M(synapse.tuning.plan_info) returns.
      - Without it no lever is judged; RV(restarts), RV(missing) and RV(project) are there all the same.
    type: dict
  metrics_url:
    description:
      - Where Synapse's metrics are, as the host reaches them, such as V(http://127.0.0.1:9000/_synapse/metrics).
      - Without it they are asked for inside Synapse's container, where its configuration says they are.
      - Synapse has them with C(enable_metrics) and a listener of type C(metrics). Without them the cache levers are
        V(unknown).
  login_user:
    description:
      - The role to log in as. What the configuration files hold is shown to superusers only.
  login_db:
    description:
      - The database to log in to. The default is V(postgres), and in the container the one that it was made with.
      - Options of tables can be read in Synapse's database only.
  cron_file:
    description:
      - The file in C(/etc/cron.d) that runs the compressor, or its timer of systemd, a file whose name ends with C(.timer).
      - The levers of the compressor are left out where this is not given.
    type: path
  fail_on_difference:
    description:
      - Fail, naming the levers, where any is known not to be in effect. V(unknown) ones are warned of.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Can run in check mode and return what it would return without.
  diff_mode:
    support: N/A
    description: Will return details on what has changed.
notes:
  - What is missing among the requirements makes levers V(unknown).
  - The metrics show only caches that were used since Synapse started; RV(levers[].because) says how many were compared. A
    cache that was not used is judged by the configuration files.
  - Of a container's environment nothing is returned but the variables of the plan.
requirements:
  - docker (Python)
  - prometheus-client (Python)
  - ruamel.yaml, for what Synapse's metrics do not show
  - psycopg 3, to log in to PostgreSQL
seealso:
  - module: synapse.tuning.plan_info
  - module: synapse.tuning.compose_file
  - module: synapse.tuning.homeserver_file
"""

EXAMPLES = r"""
- name: Plan for this host
  synapse.tuning.plan_info:
    users: 40
  register: planned

- name: See what of it is in effect
  synapse.tuning.effective_info:
    plan: "{{ planned.plan }}"
    project_dir: /opt/synapse
  register: running

- name: Show what is not
  ansible.builtin.debug:
    msg: "{{ item.lever }}: planned {{ item.planned }}, is {{ item.effective }}, {{ item.state }}: {{ item.because }}"
  loop: "{{ running.levers | rejectattr('ok') }}"

- name: Fail where anything is not in effect
  synapse.tuning.effective_info:
    plan: "{{ planned.plan }}"
    project_dir: /opt/synapse
    cron_file: /etc/cron.d/synapse-tuning-opt-synapse
    fail_on_difference: true

- name: PostgreSQL is elsewhere, and Synapse's container was not made by Compose
  synapse.tuning.effective_info:
    plan: "{{ planned.plan }}"
    synapse_container: matrix-synapse
    metrics_url: http://127.0.0.1:9000/_synapse/metrics
    login_host: db.example.org
    login_user: postgres
    login_password: "{{ vault_postgres_password }}"
"""

RETURN = r"""
levers:
  description: Every lever of the plan, planned against effective.
  type: list
  elements: dict
  returned: success, and failure by O(fail_on_difference)
  contains:
    lever:
      description:
        - Its path in the plan, such as C(homeserver.caches.global_factor), C(compose.postgresql.shm_size) or
          C(tables.state_groups_state.autovacuum_vacuum_scale_factor).
      type: str
    planned:
      description: The planned value; null where it must not be set.
      type: raw
    effective:
      description: The value on the running system; null where it is not set, or not known.
      type: raw
    state:
      description:
        - V(in_effect), as planned.
        - V(pending_restart), the planned value is written, and needs a restart, a reload or a new container.
        - V(overridden), the planned value is written, and something else wins.
        - V(without_effect), it is set, and does nothing.
        - V(not_applied), the planned value is written nowhere that was found.
        - V(unknown), a source is missing.
      type: str
    because:
      description: What overrides it, what is missing, what to do, or what proves it. One line.
      type: str
    source:
      description: Where RV(levers[].effective) was read.
      type: str
    ok:
      description:
        - Whether it is as the plan wants it, V(in_effect), or V(without_effect) whatever its value, as
          E(SYNAPSE_CACHE_FACTOR) is.
      type: bool
  sample:
    - lever: homeserver.caches.global_factor
      planned: 0.2
      effective: 0.5
      state: not_applied
      because: "no file that Synapse was started with sets it (38 of 38 caches compared: 'x' holds 500 at most, planned 200)"
      source: Synapse's metrics
      ok: false
    - lever: postgresql.shared_buffers
      planned: 256MB
      effective: 64MB
      state: overridden
      because: by the server's command line (-c), which wins over postgresql.auto.conf
      source: pg_settings
      ok: false
summary:
  description: How many levers are in each state.
  type: dict
  returned: success, and failure by O(fail_on_difference)
  sample:
    in_effect: 27
    pending_restart: 0
    overridden: 0
    without_effect: 1
    not_applied: 0
    unknown: 0
ok:
  description: Whether all levers are as the plan wants them, none of them V(unknown).
  type: bool
  returned: success, and failure by O(fail_on_difference)
versions:
  description: What runs, by C(synapse) and C(postgresql), beside what was planned for.
  type: dict
  returned: success, and failure by O(fail_on_difference)
  contains:
    synapse:
      description: As C(postgresql).
      type: dict
    postgresql:
      description:
        - C(planned), C(effective), the container's C(image), and whether they C(agrees).
          Null where it is not known.
      type: dict
  sample:
    synapse:
      planned: 1.163.2
      effective: 1.163.2
      image: matrixdotorg/synapse:v1.163.2
      agrees: true
    postgresql:
      planned: "17"
      effective: "15.18"
      image: postgres:15
      agrees: false
complaint:
  description: One line that names the levers which are known not to be in effect, and why; empty where there is none.
  type: str
  returned: success, and failure by O(fail_on_difference)
restarts:
  description:
    - What Synapse needs to take up its configuration files as they are now; empty for nothing, and where they can't be
      read. At most one entry.
    - What a changed compose file needs is for Compose to say.
  type: list
  elements: dict
  returned: success, and failure by O(fail_on_difference)
  contains:
    service:
      description: Synapse's service, or its container where that has none.
      type: str
    action:
      description:
        - V(reload) (the signal C(HUP)) where cache factors alone have changed and the metrics will show it, else
          V(restart).
      type: str
    because:
      description: The keys that differ from what Synapse was started with; the file where that is not known.
      type: list
      elements: str
  sample:
    - service: synapse
      action: reload
      because: [caches.global_factor]
missing:
  description: Why a source was not read, of those that were not.
  type: dict
  returned: success, and failure by O(fail_on_difference)
  sample:
    metrics: "Synapse has no metrics: add enable_metrics: true and a listener of type metrics, or give metrics_url"
trouble:
  description: The containers that do not run, keep ending or are unhealthy, and the line of their log that tells most.
  type: list
  elements: dict
  returned: success, and failure by O(fail_on_difference)
  contains:
    container:
      description: Its name.
      type: str
    service:
      description: Its service in Compose; empty for none.
      type: str
    state:
      description: What is wrong with it.
      type: str
    said:
      description: The last line of its log that reports an error, else its last line.
      type: str
  sample:
    - container: synapse-db-1
      service: db
      state: keeps ending (1) and is restarted
      said: "FATAL:  could not map anonymous shared memory: Cannot allocate memory"
project:
  description: The Compose project that the containers are of; null where there is none.
  type: dict
  returned: success, and failure by O(fail_on_difference)
  contains:
    name:
      description: Its name.
      type: str
    files:
      description: The files to name to Compose; null where it finds them by itself.
      type: list
      elements: str
    services:
      description: Its services that run C(synapse) and C(postgresql).
      type: dict
  sample:
    name: synapse
    files: null
    services: {synapse: synapse, postgresql: db}
warnings:
  description: Versions that the plan was not made for, and levers that are V(unknown).
  type: list
  elements: str
  returned: when there are any
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.synapse.tuning.plugins.module_utils import _effective
from ansible_collections.synapse.tuning.plugins.module_utils._core import effective
from ansible_collections.synapse.tuning.plugins.module_utils._core.due import due_of_synapse
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._running_options import RUNNING_ARGUMENTS, running_login


def request_of(params):
    """The options as a request."""
    names = ("synapse_service", "db_service", "synapse_container", "db_container", "docker_host")
    return _effective.Request(
        plan=params["plan"],
        project_dir=params["project_dir"],
        metrics_url=params["metrics_url"],
        login=running_login(params),
        database=params["login_db"],
        cron_file=params["cron_file"],
        timeout=params["timeout"],
        **{name: params[name] for name in names},
    )


def restarts_of(readings):
    """What Synapse needs, as the result shows it."""
    due = due_of_synapse(readings)
    if due is None:
        return []
    project = readings.project
    service = project.services.get("synapse") if project else readings.synapse.name
    return [{"service": service, "action": due.action, "because": list(due.because)}]


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "dict"},
            "cron_file": {"type": "path"},
            "fail_on_difference": {"type": "bool", "default": False},
            **RUNNING_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    plan = module.params["plan"]
    try:
        readings = _effective.read(request_of(module.params))
        verdicts = [] if plan is None else effective.judge(plan, readings)
    except TuningError as error:
        module.fail_json(msg=str(error))
    for warning in [] if plan is None else effective.warnings(plan, readings, verdicts):
        module.warn(warning)
    result = {
        "levers": [verdict.as_data() for verdict in verdicts],
        "summary": effective.summary(verdicts),
        "ok": all(verdict.ok for verdict in verdicts),
        "versions": effective.versions(plan, readings),
        "complaint": effective.complaint(effective.differing(verdicts)),
        "restarts": restarts_of(readings),
        "missing": readings.missing,
        "trouble": [asdict(each) for each in readings.trouble],
        "project": None if readings.project is None else asdict(readings.project),
    }
    if result["complaint"] and module.params["fail_on_difference"]:
        module.fail_json(msg=result["complaint"], changed=False, **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
