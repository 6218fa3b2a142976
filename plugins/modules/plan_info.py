#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: plan Synapse and PostgreSQL for a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: plan_info
short_description: Plan Synapse and PostgreSQL for a number of users and the host's RAM
version_added: 0.1.0
description:
  - Computes one memory budget for the whole host, and from it the settings of Synapse, PostgreSQL and their containers.
  - Every value comes with its unit, the reason for it and the reason's source.
  - Changes nothing. The same arguments give the same plan on any machine.
  - With O(ram) given nothing is observed, and O(cpus), O(reserved) have the defaults that are stated with them.
  - Without O(ram) the host is observed, RAM as the smallest of C(MemTotal) and the cgroup limits (v1 and v2)
    that hold there.
author:
  - The synapse.tuning authors (@synapse-tuning)
options:
  users:
    description: People with an account on this server who use it, at least 1.
    type: int
    required: true
  ram:
    description:
      - What the host may use, such as V(2G) or V(1536M), as Ansible's C(human_to_bytes) reads it.
      - Observed where not given.
    type: str
  cpus:
    description:
      - Processors that the host may use.
      - Where not given, observed, or V(2) with O(ram) given.
    type: int
  storage:
    description: What the database lies on.
    type: str
    choices: [ssd, hdd]
    default: ssd
  reserved:
    description:
      - Memory that other services on this host need, such as V(512M).
      - Where not given, observed, or V(0) with O(ram) given.
    type: str
  topology:
    description:
      - Where PostgreSQL runs.
      - V(shared) is on this host, with Synapse.
      - V(dedicated_synapse) is elsewhere; this host has Synapse alone.
      - V(dedicated_database) is on this host, and Synapse elsewhere.
    type: str
    choices: [shared, dedicated_synapse, dedicated_database]
    default: shared
  workers:
    description: Synapse worker processes beside the main process. Each has caches and a connection pool of its own.
    type: int
    default: 0
  federation:
    description: How much of the federation the users join; the more, the more memory is kept for joins.
    type: str
    choices: [closed, small, open]
    default: open
  synapse_version:
    description: The Synapse that runs, or that a new deployment gets. Versions with known flaws give a warning.
    type: str
    default: 1.163.2
  postgresql_version:
    description: Major version of PostgreSQL.
    type: int
    default: 17
  database_size:
    description: What the database holds on disk, such as V(12G). V(0) means that it is not known.
    type: str
    default: '0'
  cache_autotuning:
    description:
      - Whether Synapse sheds cache entries when its memory passes a mark.
      - V(auto) is on where the predicted peak comes near Synapse's memory limit. It costs CPU time.
    type: str
    choices: [auto, 'on', 'off']
    default: auto
  presence:
    description: V(off) plans to switch presence off; V(keep) leaves it as it is.
    type: str
    choices: [keep, 'off']
    default: keep
  forgotten_room_retention_period:
    description:
      - A duration such as V(28d), after which Synapse purges rooms that all local users have forgotten.
      - It deletes data, so it is planned only where given.
    type: str
  per_cache_factors:
    description:
      - Factors for single caches, by Synapse's name for them. They win over the plan's own.
      - Names that Synapse does not know are refused.
    type: dict
    default: {}
  largest_room:
    description:
      - State events of the largest room of other servers that users are to join, about a fifth more than its members.
      - The peak is predicted with it. Where not given, that of the largest room that the plan lets in, at most 6,000.
    type: int
  extra_connections:
    description: Database connections for others than Synapse, such as bridges, backups and monitoring.
    type: int
    default: 20
  previous:
    description:
      - Path, on the target, of the plan of an earlier run.
      - Observed figures that moved only a little since then are kept, so that a second run changes nothing.
      - A file that is missing or holds something else is ignored.
    type: path
  measured:
    description:
      - What M(synapse.tuning.memory_info) returned as C(measurement), taken under the settings that are in effect.
      - Memory is moved to where it says that it pays, within the budget. It raises caches that evict what is asked for
        again, C(work_mem) by the temporary files, C(max_connections) by the most that were open, and limits by the most
        that was held. It lowers what was not needed.
      - Synapse's counters tell something after an hour, and a limit is lowered after a day.
      - Without it nothing is learned.
    type: dict
  measurement:
    description:
      - Path, on the target, of a JSON file with such a measurement. It has to be there.
      - Not together with O(measured).
    type: path
attributes:
  check_mode:
    description: Can run in check mode and return what it would return without.
    support: full
  diff_mode:
    description: Will return details on what has changed.
    support: N/A
"""

EXAMPLES = r"""
- name: Plan for five users on a host with 2 GiB
  synapse.tuning.plan_info:
    users: 5
    ram: 2G
    cpus: 2
  register: result

- name: Show what PostgreSQL gets, and why
  ansible.builtin.debug:
    msg: "{{ result.plan.postgresql.shared_buffers.value }}: {{ result.plan.postgresql.shared_buffers.why }}"

- name: Plan for the host as it is, with half a gigabyte left to others
  synapse.tuning.plan_info:
    users: 40
    reserved: 512M
    federation: small

- name: Measure
  synapse.tuning.memory_info:
    project_dir: /srv/matrix
  register: memory

- name: Plan by what was measured
  synapse.tuning.plan_info:
    users: 40
    measured: "{{ memory.measurement }}"
"""

RETURN = r"""
plan:
  description:
    - The plan, a JSON value.
    - A setting is a dictionary of C(value), C(unit), C(why) and C(source), and C(wish) where the memory budget
      bounded the value.
      A null C(value) means that the key must be absent.
  returned: success
  type: dict
  contains:
    schema_version:
      description: Raised when the shape of the plan changes.
      type: int
    host:
      description: What the plan was made from, sizes in bytes. C(observed) names what was read off the machine,
        C(measured) is when the measurement was taken that it was made from.
      type: dict
    homeserver:
      description: Settings by their dotted path in C(homeserver.yaml).
      type: dict
    postgresql:
      description: Settings by the name of PostgreSQL's parameter.
      type: dict
    tables:
      description: Settings of single tables in Synapse's database, by table and option; empty where none is needed.
      type: dict
    compose:
      description: Settings of the services C(synapse) and C(postgresql).
      type: dict
    deployment:
      description: Settings that only a new deployment gets.
      type: dict
    compressor:
      description: Settings of the job that compresses C(state_groups_state).
      type: dict
    budget:
      description: Rows of C(component), C(bytes) and C(why) that add up to the RAM.
      type: list
      elements: dict
    prediction:
      description:
        - The most that is expected to be held, in bytes, without the page cache. C(synapse) (each process), C(postgresql)
          and C(total) with C(expected), C(low), C(high); nine of ten servers like those that were measured are between.
        - C(joined) is the state events of the largest room that is joined, C(source) the runs that it is from.
      type: dict
    levers:
      description:
        - What each lever returned by itself in the lab, those that returned most first.
        - C(lever), C(tried) (what the lab set), C(returned) and C(of) (bytes of the peak of a server of C(users)), C(cpu) and
          C(p95) (ratios to stock, null where they were not measured), C(pulled) (whether the plan does it), C(why), and
          C(source) (the record of the runs).
      type: list
      elements: dict
    learned:
      description:
        - What the measurement has changed. Only in a plan that is made from one.
        - C(lever) is the dotted path in the plan, C(from) what the plan would have without the measurement, C(to) what
          it has, and C(why) names the measured figure.
      type: list
      elements: dict
    warnings:
      description: What is wrong with the versions that were named.
      type: list
      elements: str
    advice:
      description: What the plan can't do for this host, and what would.
      type: list
      elements: str
  sample:
    schema_version: 1
    budget:
      - component: operating_system
        bytes: 268435456
        why: "kernel, system services, container engine: 1/8 of RAM, 96 MiB to 1 GiB"
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.formatters import human_to_bytes

from ansible_collections.synapse.tuning.plugins.module_utils._core import host
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import (
    MeasurementError,
    PlanError,
    TuningError,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement
from ansible_collections.synapse.tuning.plugins.module_utils._core.observed import (
    previous_figure,
    steady_ram,
    steady_reserved,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.plan import make_plan
from ansible_collections.synapse.tuning.plugins.module_utils._core.releases import NEWEST
from ansible_collections.synapse.tuning.plugins.module_utils._host import observe

_CPUS_WITH_GIVEN_RAM = 2


def size(name, text):
    """Bytes of an option; None stays None."""
    if text is None:
        return None
    try:
        return human_to_bytes(text)
    except ValueError as error:
        raise PlanError(f"{name} is {text!r}: write a size such as 2G or 1536M") from error


def factors(given):
    """The per-cache factors as numbers: from the command line they come as text."""
    try:
        return {name: float(factor) for name, factor in given.items()}
    except (TypeError, ValueError) as error:
        raise PlanError(f"per_cache_factors must be numbers: {error}") from error


def read_previous(path):
    """The plan of an earlier run; None where there is none to go by."""
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def read_measurement(params):
    """The measurement that was given, as it is or as a file; None where none was."""
    path, data = params["measurement"], params["measured"]
    if path is None:
        return None if data is None else Measurement.from_data(data)
    try:
        with open(path, encoding="utf-8") as file:
            return Measurement.from_data(json.load(file))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not JSON"
        raise PlanError(
            f"the measurement {path} cannot be read ({reason}): measure the server first, or name another file"
        ) from error
    except MeasurementError as error:
        raise PlanError(f"{path}: {error}") from error


def make_inputs(params):
    """The options, and what is observed for those that were not given."""
    ram = size("ram", params["ram"])
    cpus = params["cpus"]
    reserved = size("reserved", params["reserved"])
    observed = ()
    if ram is None:
        machine = observe()
        previous = read_previous(params["previous"])
        ram = steady_ram(machine.ram, previous=previous_figure(previous, "ram"))
        observed = ("ram",)
        if cpus is None:
            cpus = machine.cpus
            observed += ("cpus",)
        if reserved is None:
            reserved = steady_reserved(machine.used, ram=ram, previous=previous_figure(previous, "reserved"))
            observed += ("reserved",)
    return host.Inputs(
        users=params["users"],
        ram=ram,
        cpus=_CPUS_WITH_GIVEN_RAM if cpus is None else cpus,
        storage=params["storage"],
        reserved=reserved or 0,
        topology=params["topology"],
        workers=params["workers"],
        federation=params["federation"],
        synapse_version=params["synapse_version"],
        postgresql_version=params["postgresql_version"],
        database_size=size("database_size", params["database_size"]),
        cache_autotuning=params["cache_autotuning"],
        presence=params["presence"],
        forgotten_room_retention_period=params["forgotten_room_retention_period"] or None,
        per_cache_factors=factors(params["per_cache_factors"]),
        largest_room=params["largest_room"],
        extra_connections=params["extra_connections"],
        observed=observed,
    )


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "users": {"type": "int", "required": True},
            "ram": {"type": "str"},
            "cpus": {"type": "int"},
            "storage": {"type": "str", "choices": list(host.STORAGE), "default": "ssd"},
            "reserved": {"type": "str"},
            "topology": {"type": "str", "choices": list(host.TOPOLOGIES), "default": "shared"},
            "workers": {"type": "int", "default": 0},
            "federation": {"type": "str", "choices": list(host.FEDERATION), "default": "open"},
            "synapse_version": {"type": "str", "default": NEWEST},
            "postgresql_version": {"type": "int", "default": host.POSTGRESQL_VERSION},
            "database_size": {"type": "str", "default": "0"},
            "cache_autotuning": {"type": "str", "choices": list(host.CACHE_AUTOTUNING), "default": "auto"},
            "presence": {"type": "str", "choices": list(host.PRESENCE), "default": "keep"},
            "forgotten_room_retention_period": {"type": "str"},
            "per_cache_factors": {"type": "dict", "default": {}},
            "largest_room": {"type": "int"},
            "extra_connections": {"type": "int", "default": 20},
            "previous": {"type": "path"},
            "measured": {"type": "dict"},
            "measurement": {"type": "path"},
        },
        mutually_exclusive=[("measured", "measurement")],
        supports_check_mode=True,
    )
    try:
        plan = make_plan(make_inputs(module.params), read_measurement(module.params))
    except TuningError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, plan=plan)


if __name__ == "__main__":
    main()
