#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measure what Synapse, PostgreSQL and their host hold."""

from __future__ import annotations

DOCUMENTATION = r"""
module: memory_info
short_description: Measure what Synapse, PostgreSQL and their host hold
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Reads what the memory of a running Synapse and its PostgreSQL is made of, from the Docker Engine, cgroups (version 1 and
    2), procfs, Synapse's metrics, PostgreSQL's statistics and the kernel's log.
  - A source that can't be read is named in RV(missing), and its figures are null. It is never an error.
  - Changes nothing.
extends_documentation_fragment:
  - synapse.tuning.running
options:
  project_dir:
    description:
      - The directory of the Compose project. Its containers are found by their labels, those of workers included.
      - Where neither this nor O(synapse_container) is given, Synapse is taken for a service of the host and found by its
        processes, and so is PostgreSQL where neither this nor O(db_container) is, or where the project has none and
        O(login_host) is the host itself.
  metrics_url:
    description:
      - Where Synapse's metrics are, as the host reaches them, such as V(http://127.0.0.1:9000/_synapse/metrics).
      - Without it they are asked for at the container's address, and else inside it, where Synapse's configuration says they
        are.
      - Synapse has them with C(enable_metrics) and a listener of type C(metrics).
  login_user:
    description:
      - The role to log in as. One that is neither a superuser nor a member of C(pg_monitor) is not told what others'
        connections do.
  login_db:
    description:
      - The database to log in to, which should be Synapse's, as cache hits, temporary files, dead rows and size are those of
        this database. The default is V(postgres), and in the container the one that it was made with.
  duration:
    description:
      - Seconds in which to take further samples, every O(interval) seconds, for the peaks. V(0) takes one sample.
    type: float
    default: 0
  interval:
    description:
      - Seconds between two samples.
    type: float
    default: 1
  previous:
    description:
      - An earlier RV(measurement) in a file on the host, in JSON, whose peaks are carried on. One that is not there yet is
        no error.
      - A peak of memory is carried on while the container's limit is what it was then, and that of connections while
        C(max_connections) is. Samples and duration are added up.
    type: path
attributes:
  check_mode:
    support: full
    description: Can run in check mode and return what it would return without.
  diff_mode:
    support: N/A
    description: Will return details on what has changed.
notes:
  - Needs to be root (C(become)) to tell what processes share, and to read the kernel's log.
  - What is missing among the requirements makes figures null.
  - The figures of caches, allocator and garbage collector are those of Synapse's main process, as each process has its own.
    Those of processes are there for workers, too.
  - What the kernel says is read first, as to ask PostgreSQL in its container takes some MiB there for a moment.
requirements:
  - docker (Python), for what runs in containers
  - prometheus-client (Python), for Synapse's metrics
  - ruamel.yaml, to find them in Synapse's configuration
  - psycopg 3, to log in to PostgreSQL
seealso:
  - module: synapse.tuning.plan_info
  - module: synapse.tuning.effective_info
  - module: synapse.tuning.state_info
"""

EXAMPLES = r"""
- name: Measure the Synapse in a Compose project
  synapse.tuning.memory_info:
    project_dir: /opt/synapse
  become: true
  register: memory

- name: Show it
  ansible.builtin.debug:
    msg: "{{ memory.table.splitlines() }}"

- name: Measure for a minute, and carry the peaks on
  synapse.tuning.memory_info:
    project_dir: /opt/synapse
    duration: 60
    previous: /var/lib/synapse-tuning/measurement.json
  become: true
  register: memory

- name: Keep it for the next time
  ansible.builtin.copy:
    content: "{{ memory.measurement | to_nice_json }}"
    dest: /var/lib/synapse-tuning/measurement.json
    mode: "0600"
  become: true

- name: Synapse and PostgreSQL are services of the host
  synapse.tuning.memory_info:
    metrics_url: http://127.0.0.1:9000/_synapse/metrics
    login_host: /var/run/postgresql
    login_user: postgres
    login_db: synapse
  become: true
"""

RETURN = r"""
measurement:
  description:
    - All figures. Sizes are in bytes, times in seconds, counters since the start of what counts them. Null is what could
      not be read, and why is in RV(missing).
  type: dict
  returned: success
  contains:
    schema_version:
      description: The version of this shape, V(1).
      type: int
    taken_at:
      description: When, in UTC.
      type: str
      sample: "2026-11-28T16:40:00Z"
    samples:
      description: How many samples the peaks are the highest of.
      type: int
    duration:
      description: Over how many seconds they were taken.
      type: float
    host:
      description:
        - The host. C(ram) is the smallest of its memory and of the limits that hold for it, and C(total) its memory.
          C(available), C(swap_total) and C(swap_used) are as in C(/proc/meminfo), C(cpus) its processors, and C(oom_kills)
          the processes that were killed for want of memory since it was booted.
      type: dict
    synapse:
      description: Synapse.
      type: dict
      contains:
        version:
          description: Its version.
          type: str
        uptime:
          description: How long its main process runs.
          type: float
        container:
          description: The main process's container; null where it is in none.
          type: dict
          contains:
            name:
              description: Its name.
              type: str
            limit:
              description: The limit of its memory; null for none.
              type: int
            current:
              description: What it uses, with all of the page cache.
              type: int
            working_set:
              description: That without the part of the page cache that the kernel takes first.
              type: int
            held:
              description: Anonymous and shared memory, which only swap or a kill gives back.
              type: int
            held_peak:
              description: The most of it that a sample has seen.
              type: int
            peak:
              description: The most of C(current) since it was started; null where the kernel does not say.
              type: int
            swap:
              description: What of it is in swap.
              type: int
            oom_kills:
              description: Processes that were killed for want of memory, since it was started.
              type: int
            limit_hits:
              description:
                - How often it has reached its limit since. Cgroups of version 1 may not count it where the limit of memory
                  with swap is the same.
              type: int
            restarts:
              description: How often the engine has started it again after it had ended.
              type: int
            cpu_seconds:
              description: The processor time that it has taken.
              type: float
        processes:
          description:
            - Its processes, those of workers in the same and in other containers of the project included. C(name) is
              C(main) or the worker's, C(pid) the number on the host. C(rss) is what is in memory, C(rss_peak) the most of
              it since the start, C(pss) that with what others share counted in part, C(private) without it. And C(swap),
              C(cpu_seconds) and C(uptime).
          type: list
          elements: dict
        jemalloc:
          description:
            - What the allocator says, C(allocated), C(active), C(resident), C(mapped), C(retained) and C(metadata); null
              for another allocator.
          type: dict
        gc:
          description: The garbage collector, by C(generation) the C(collections) and the C(seconds) that they took.
          type: list
          elements: dict
        caches:
          description:
            - The caches that were used since the start. C(size) and C(max_size) count entries, C(hits) and C(misses) what
              was asked for. C(evictions) are entries that left as the cache was full (C(size)), as they were old (C(time)),
              and as they were outdated (C(invalidation)). C(bytes) is known where Synapse tracks it
              (C(caches.track_memory_usage)) only.
          type: list
          elements: dict
    postgresql:
      description: PostgreSQL.
      type: dict
      contains:
        version:
          description: Its version.
          type: str
        uptime:
          description: How long it runs.
          type: float
        container:
          description: Its container, like RV(measurement.synapse.container).
          type: dict
        shared:
          description: Its shared memory, as far as it was used, once.
          type: int
        backends:
          description:
            - Its processes. C(pid) is the number as PostgreSQL has it, C(kind) what it is, as
              C(pg_stat_activity.backend_type) says it, or C(postmaster). And C(database), C(user), C(application) and
              C(state) of clients, and what they hold, C(pss), C(private) and C(rss).
          type: list
          elements: dict
        blocks_hit:
          description: Blocks of Synapse's database that were found in shared buffers, since RV(measurement.postgresql.stats_since).
          type: int
        blocks_read:
          description: Blocks that were not.
          type: int
        temp_files:
          description: Temporary files that queries wrote for want of C(work_mem).
          type: int
        temp_bytes:
          description: Their size.
          type: int
        stats_since:
          description: When these counters were reset, in UTC; null for never.
          type: str
        connections:
          description: Connections of clients, without this module's own.
          type: int
        connections_peak:
          description:
            - The most that a sample has seen. Synapse's pools grow as they have to and never shrink, so what they have open is
              the most that Synapse needed since its start.
          type: int
        max_connections:
          description: How many there may be.
          type: int
        shared_buffers:
          description: The size of the shared buffers.
          type: int
        work_mem:
          description: What one sort or hash may take before it writes temporary files.
          type: int
        autovacuum:
          description:
            - Its workers C(running) now, all C(dead_tuples), and the five C(tables) with the most, each with its C(table),
              C(dead) and C(live) rows and the C(last) time that it was vacuumed, in UTC.
          type: dict
        database_bytes:
          description: The size of the database on the disk.
          type: int
    shm:
      description: The C(size) of C(/dev/shm) as PostgreSQL sees it, and what of it is C(used).
      type: dict
    kernel_oom:
      description:
        - One line for each process of these containers or services that the kernel has logged to have killed for want of
          memory, the newest five. Counters start anew with a container, these do not.
      type: list
      elements: str
      sample: ["2026-11-28T16:40:00Z python (pid 4711) of matrix-synapse-1 was killed at its limit, holding 512 MiB"]
    missing:
      description: As RV(missing).
      type: dict
missing:
  description:
    - Why a source was not read, of those that were not, among C(engine), C(synapse) and C(postgresql) (their containers),
      C(host), C(processes), C(backends), C(metrics), C(jemalloc), C(database), C(shm), C(kernel_log), C(previous), and
      C(worker NAME).
  type: dict
  returned: success
  sample:
    metrics: "Synapse has no metrics: add enable_metrics: true and a listener of type metrics, or give metrics_url"
table:
  description: All of it for people, in lines of at most 100 characters.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.synapse.tuning.plugins.module_utils import _memory
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_table import memory_table
from ansible_collections.synapse.tuning.plugins.module_utils._memory_places import Wanted
from ansible_collections.synapse.tuning.plugins.module_utils._running_options import RUNNING_ARGUMENTS, running_login


def request_of(params):
    """The options as a request."""
    wanted = ("project_dir", "synapse_service", "db_service", "synapse_container", "db_container")
    names = ("docker_host", "metrics_url", "duration", "interval", "previous", "timeout")
    return _memory.Request(
        wanted=Wanted(**{name: params[name] for name in wanted}),
        login=running_login(params),
        database=params["login_db"],
        **{name: params[name] for name in names},
    )


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "duration": {"type": "float", "default": 0},
            "interval": {"type": "float", "default": 1},
            "previous": {"type": "path"},
            **RUNNING_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    for name, least in (("duration", 0), ("interval", 0.1), ("timeout", 1)):
        if not module.params[name] >= least:
            module.fail_json(msg=f"{name} is {module.params[name]}, but must be at least {least}")
    measured = _memory.measure(request_of(module.params))
    data = measured.as_data()
    module.exit_json(changed=False, measurement=data, missing=data["missing"], table="\n".join(memory_table(measured)))


if __name__ == "__main__":
    main()
