#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compress Synapse's state groups now."""

from __future__ import annotations

DOCUMENTATION = r"""
module: state_compression
short_description: Compress Synapse's state groups now
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Runs C(synapse_auto_compressor) on the table C(state_groups_state), shows how far it is, and says what it has saved.
    Synapse may run meanwhile.
  - Then cleans up, as O(vacuum) says. PostgreSQL uses the place of the removed rows again. The disk gets it back by
    O(vacuum=full) or O(vacuum=repack) only.
  - The compressor keeps in tables of its own how far it has come. A run goes on where the last one was, also where that
    one was killed; nothing is lost then, since each state group is changed in a transaction of its own.
  - One run at a time works on a database. A lock in the database, O(lock_file), and a look at the containers beside the
    database's keep others out.
  - In check mode nothing is run, and what a run would leave is worked out from the state groups, RV(estimate).
options:
  runtime:
    description:
      - V(container) runs O(image) in the network of the database's container, found by O(container) or O(project_dir).
        There PostgreSQL trusts 127.0.0.1, as its official image has it, so no password is needed and none is given.
      - V(wheel) runs the Python package C(synapse-auto-compressor) of O(wheel_python) on this host. It gets login and
        password by its standard input. It encrypts the connection where PostgreSQL offers that, and checks no
        certificate, whatever O(sslmode) says.
    type: str
    choices: [container, wheel]
    default: container
  image:
    description:
      - The compressor's image. It is pulled where it is missing.
    type: str
    default: ghcr.io/matrix-org/rust-synapse-compress-state
  wheel_python:
    description:
      - The Python of an environment that has C(synapse-auto-compressor) 0.1.2, which is for x86_64.
        Version 0.1.4 has nothing in it.
    type: str
    default: /opt/synapse-auto-compressor/bin/python
  chunk_size:
    description:
      - State groups that the compressor holds in memory at a time; V(100) or more, and no less than the first of
        O(levels).
    type: int
    default: 500
  number_of_chunks:
    description:
      - Chunks to compress at most, those with the oldest state groups first.
    type: int
    default: 100
  levels:
    description:
      - The sizes of the compressor's levels, the lowest one first. Their sum is how many steps it takes at most to read a
        state. A room that has been begun goes on with the levels it has.
    type: list
    elements: int
    default: [100, 50, 25]
  time_limit:
    description:
      - When to stop compressing, with V(s), V(m), V(h) or V(d). That is no error, RV(ended_by) says it; the next run
        goes on.
    type: str
    default: 6h
  lock_file:
    description:
      - A file to lock, that of the job that the role C(compressor) installs, so that the two never run at once. It is
        the job's script and C(.lock).
    type: path
  vacuum:
    description:
      - What to do afterwards.
      - V(analyze) makes the removed rows' place free for new rows and renews PostgreSQL's statistics, where
        anything was compressed. Nobody is kept out.
      - V(full) writes the table anew and gives the place back to the disk. B(Synapse waits for the table meanwhile),
        minutes where it is large; see O(window).
      - V(repack) does so by C(pg_repack), with the table locked for moments only. It needs the extension in the
        database and the client in the database's container, or on this host where O(container) and O(project_dir) are
        not set. B(It also needs a unique index), and Synapse makes none on this table, so you have to have made one on
        C(state_group), C(type) and C(state_key).
      - V(full) and V(repack) write nothing where that would give back less than a tenth of the table.
    type: str
    choices: [none, analyze, full, repack]
    default: analyze
  window:
    description:
      - The part of the day, such as V(02:00-05:00) by the host's clock, in which O(vacuum=full) and O(vacuum=repack) may
        begin. Outside of it the removed rows' place is made free as by O(vacuum=analyze), and RV(vacuum) says why.
      - What has begun is not stopped where the window ends.
    type: str
  lock_timeout:
    description:
      - Seconds that O(vacuum=full) and O(vacuum=repack) wait for the table, while Synapse's queries wait behind them.
        V(full) tries three times.
    type: int
    default: 5
  free_space_check:
    description:
      - Whether O(vacuum=full) and O(vacuum=repack) are refused, before anything is done, where PostgreSQL's disk has no
        room for a second copy of the table and its indexes, and for what of it goes through the write-ahead log, or where
        that cannot be found out.
      - With V(false) PostgreSQL finds out. It keeps the table then, but where the write-ahead log is on the same disk,
        PostgreSQL stops when that is full.
    type: bool
    default: true
  count_up_to:
    description:
      - Rows are counted where PostgreSQL believes that there are no more than this. Above, its estimate is returned, and
        RV(before.counted) is V(false).
    type: int
    default: 20000000
  estimate_rows:
    description:
      - Rows to look at in check mode, about. Where there are more to compress, a sample is taken, and
        RV(estimate.sampled) is V(true).
    type: int
    default: 2000000
  slice:
    description:
      - Seconds to work for, V(0) for all of it. Then RV(finished) may be V(false), and RV(follow) is what the next call
        takes as O(follow).
      - A task needs neither. Without it the module is called in slices and its progress printed, but with C(async).
    type: int
    default: 0
  follow:
    description:
      - What the last slice has returned as RV(follow).
    type: dict
extends_documentation_fragment:
  - synapse.tuning.postgresql
  - synapse.tuning.postgresql_container
attributes:
  check_mode:
    support: full
    description: Works out what would be saved, and refuses what a run would refuse before it begins.
  diff_mode:
    support: none
    description: RV(before) and RV(after) say it.
notes:
  - Where the role P(synapse.tuning.compressor#role) has made the job a login of its own, that has progress of its own, too.
    A run with another login then begins anew; it finds little to do, and loses nothing.
seealso:
  - name: The compressor
    description: What it does to the state groups.
    link: https://github.com/matrix-org/rust-synapse-compress-state
"""

EXAMPLES = r"""
- name: See what compressing would save
  synapse.tuning.state_compression:
    project_dir: /opt/synapse
    number_of_chunks: 1000
  become: true
  check_mode: true
  register: expected

- name: Compress, not while the nightly job does
  synapse.tuning.state_compression:
    project_dir: /opt/synapse
    number_of_chunks: 1000
    lock_file: /opt/synapse/compress-state.sh.lock
  become: true

- name: Compress, and give the place back to the disk at night
  synapse.tuning.state_compression:
    project_dir: /opt/synapse
    vacuum: full
    window: 02:00-05:00
  become: true

- name: Compress a database on another host
  synapse.tuning.state_compression:
    runtime: wheel
    wheel_python: /opt/synapse-auto-compressor/bin/python
    login_host: db.example.org
    login_user: synapse
    login_db: synapse
    passfile: /root/.pgpass
    sslmode: require
"""

RETURN = r"""
finished:
  description: Whether all is done; V(false) with O(slice) only.
  type: bool
  returned: success
progress:
  description: How far it is, for people.
  type: str
  returned: success
  sample: 12 of at most 100 chunks, 34.5 % of the state groups, 1,520 rows saved, 14 s
follow:
  description: What the next slice takes as O(follow).
  type: dict
  returned: when RV(finished) is V(false)
before:
  description: The table C(state_groups_state) before.
  type: dict
  returned: when RV(finished) is V(true)
  contains:
    rows:
      description: Its rows.
      type: int
    counted:
      description: Whether they were counted; else it is PostgreSQL's estimate, see O(count_up_to).
      type: bool
    bytes:
      description: What it takes on the disk, with its indexes.
      type: int
    table_bytes:
      description: The same without its indexes.
      type: int
    index_bytes:
      description: Its indexes.
      type: int
  sample: {rows: 1520, counted: true, bytes: 614400, table_bytes: 352256, index_bytes: 262144}
after:
  description: The same afterwards; in check mode what is expected.
  type: dict
  returned: when RV(finished) is V(true)
saved_rows:
  description: Rows that the compressor has removed, more than it has added. Synapse may have added others meanwhile.
  type: int
  returned: when RV(finished) is V(true)
percent:
  description: How much of the state groups the compressor is through with; V(100) where nothing is left for it.
  type: float
  returned: success
chunks:
  description: Chunks that were compressed, or would be.
  type: int
  returned: success
skipped_chunks:
  description: Those of them that were left as they were since nothing could be saved.
  type: int
  returned: when RV(finished) is V(true)
seconds:
  description: How long all of it took.
  type: float
  returned: when RV(finished) is V(true)
ended_by:
  description: Why it ended, V(chunks) (O(number_of_chunks) are done), V(nothing left) or V(time limit); empty in check mode.
  type: str
  returned: when RV(finished) is V(true)
disk:
  description: Bytes that are free where PostgreSQL keeps the table; null where that cannot be found out.
  type: dict
  returned: when RV(finished) is V(true)
  contains:
    path:
      description: The directory, as PostgreSQL sees it.
      type: str
    before:
      description: Bytes before.
      type: int
    after:
      description: Bytes afterwards.
      type: int
vacuum:
  description: What was done about the place of the removed rows, or would be.
  type: dict
  returned: when RV(finished) is V(true)
  contains:
    wanted:
      description: O(vacuum).
      type: str
    done:
      description: One of V(none), V(analyze), V(full) and V(repack).
      type: str
    reason:
      description: Why it is another one than wanted; else empty.
      type: str
    seconds:
      description: How long it took.
      type: float
  sample: {wanted: full, done: analyze, reason: "it is 14:03, outside of 02:00-05:00", seconds: 0.4}
estimate:
  description: How RV(after) was worked out.
  type: dict
  returned: in check mode
  contains:
    rows:
      description: Rows of the state groups that a run would compress.
      type: int
    rows_after:
      description: Rows that they are expected to have then.
      type: int
    rows_read:
      description: Rows that were looked at.
      type: int
    sampled:
      description: Whether these are a sample; see O(estimate_rows).
      type: bool
    state_groups:
      description: State groups that a run would compress.
      type: int
    rooms:
      description: Their rooms.
      type: int
"""

import signal
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._deps_docker import DOCKER
from ansible_collections.synapse.tuning.plugins.module_utils._deps_postgresql import PSYCOPG
from ansible_collections.synapse.tuning.plugins.module_utils._login_options import (
    LOGIN_ARGUMENTS,
    PLACE_ARGUMENTS,
    given_login,
    given_place,
)
from ansible_collections.synapse.tuning.plugins.module_utils._state_compression import Request, compress, look

_OPTIONS = (
    *("runtime", "image", "wheel_python", "chunk_size", "number_of_chunks", "levels", "time_limit", "lock_file"),
    *("vacuum", "window", "lock_timeout", "free_space_check", "count_up_to", "estimate_rows", "slice", "follow"),
)


def request(module: AnsibleModule) -> Request:
    """The options, as the adapter takes them."""
    params = module.params
    return Request(login=given_login(params), place=given_place(params), **{name: params[name] for name in _OPTIONS})


def _end(_number: int, _frame: Any) -> None:
    # An exit, so that the compressor's container is removed.
    raise SystemExit(1)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **PLACE_ARGUMENTS,
            "runtime": {"type": "str", "choices": ["container", "wheel"], "default": "container"},
            "image": {"type": "str", "default": "ghcr.io/matrix-org/rust-synapse-compress-state"},
            "wheel_python": {"type": "str", "default": "/opt/synapse-auto-compressor/bin/python"},
            "chunk_size": {"type": "int", "default": 500},
            "number_of_chunks": {"type": "int", "default": 100},
            "levels": {"type": "list", "elements": "int", "default": [100, 50, 25]},
            "time_limit": {"type": "str", "default": "6h"},
            "lock_file": {"type": "path"},
            "vacuum": {"type": "str", "choices": ["none", "analyze", "full", "repack"], "default": "analyze"},
            "window": {"type": "str"},
            "lock_timeout": {"type": "int", "default": 5},
            "free_space_check": {"type": "bool", "default": True},
            "count_up_to": {"type": "int", "default": 20000000},
            "estimate_rows": {"type": "int", "default": 2000000},
            "slice": {"type": "int", "default": 0},
            "follow": {"type": "dict"},
            **LOGIN_ARGUMENTS,
        },
        mutually_exclusive=[["login_host", "login_unix_socket"]],
        supports_check_mode=True,
    )
    if PSYCOPG.missing:
        module.fail_json(msg=missing_required_lib(PSYCOPG.name, reason=PSYCOPG.reason), exception=PSYCOPG.error)
    if DOCKER.missing and (module.params["container"] or module.params["project_dir"]):
        module.fail_json(msg=missing_required_lib(DOCKER.name, reason=DOCKER.reason), exception=DOCKER.error)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        result = (look if module.check_mode else compress)(request(module))
    except TuningError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
