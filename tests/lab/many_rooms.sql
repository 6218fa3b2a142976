-- SPDX-FileCopyrightText: 2026 The synapse.tuning authors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- Fill an empty database of Synapse's own schema with many rooms of long-tailed sizes, the same ones for a seed.
-- psql variables: rooms, seed. 100000 rooms make some 2.1 M rows of state and 1.5 M events.
-- Rows lie in no order by room, as on a server where rooms talk at the same time. Nothing is analyzed at the end.

\set ON_ERROR_STOP on
-- Neither foreign keys nor triggers: what is written fits together. Superusers may.
SET session_replication_role = replica;
SET synchronous_commit = off;
SET max_parallel_workers_per_gather = 2;
SET work_mem = '128MB';
SET maintenance_work_mem = '256MB';

-- Autovacuum would work on all of it while somebody measures.
SELECT format('ALTER TABLE %I SET (autovacuum_enabled = off)', relname)
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \gexec

-- How heavy a room is in state, in events and in members is not the same question: each has its own order of the rooms.
CREATE TEMPORARY TABLE sizes AS
SELECT n,
       '!room' || n || ':' || CASE WHEN n % 5 = 0 THEN 'localhost' ELSE 'remote' || n % 97 || '.example' END AS room_id,
       (8 + 60000 / power(row_number() OVER (ORDER BY md5('state' || n || :seed)), 0.9))::int AS state_rows,
       (5 + 45000 / power(row_number() OVER (ORDER BY md5('events' || n || :seed)), 0.9))::int AS events,
       (1 + 5000 / power(row_number() OVER (ORDER BY md5('members' || n || :seed)), 0.9))::int AS members,
       n % 4 AS local_members,
       n % 23 = 0 AS tombstoned,
       -- The newest event, up to two years ago.
       (extract(epoch FROM now()) * 1000)::bigint - ('x' || substr(md5('age' || n || :seed), 1, 8))::bit(32)::bigint % 63072000 * 1000
           AS last_ts
FROM generate_series(1, :rooms) AS n;
ANALYZE sizes;

INSERT INTO rooms (room_id, is_public, creator, room_version, has_auth_chain_index)
SELECT room_id, n % 7 = 0, '@creator:localhost', '10', true FROM sizes;

INSERT INTO room_stats_state (room_id, name, canonical_alias, join_rules, encryption)
SELECT room_id, 'Room ' || n, CASE WHEN n % 3 = 0 THEN '#alias' || n || ':localhost' END, 'public',
       CASE WHEN n % 2 = 0 THEN 'm.megolm.v1.aes-sha2' END
FROM sizes;

INSERT INTO room_stats_current
    (room_id, current_state_events, joined_members, invited_members, left_members, banned_members,
     local_users_in_room, completed_delta_stream_id, knocked_members)
SELECT room_id, 8 + members, members, 0, 0, 0, least(local_members, members), 1, 0 FROM sizes;

INSERT INTO local_current_membership (room_id, user_id, event_id, membership, event_stream_ordering)
SELECT room_id, '@user' || u || ':localhost', '$join' || n || '.' || u, 'join', NULL
FROM sizes, generate_series(1, least(local_members, members)) AS u;

INSERT INTO devices (user_id, device_id, last_seen)
SELECT '@user' || u || ':localhost', 'DEVICE', (extract(epoch FROM now()) * 1000)::bigint - u::bigint * 86400000 * 20
FROM generate_series(1, 3) AS u;

INSERT INTO current_state_events (event_id, room_id, type, state_key, membership)
SELECT '$tombstone' || n, room_id, 'm.room.tombstone', '', NULL FROM sizes WHERE tombstoned;
INSERT INTO current_state_events (event_id, room_id, type, state_key, membership)
SELECT '$state' || n || '.' || s, room_id, 'm.room.state' || s, '', NULL FROM sizes, generate_series(1, 7) AS s;
INSERT INTO current_state_events (event_id, room_id, type, state_key, membership)
SELECT '$member' || n || '.' || m, room_id, 'm.room.member', '@member' || m || ':remote.example', 'join'
FROM sizes, generate_series(1, members) AS m;

-- A state group has four rows on the average, whole states at first and then what changed.
INSERT INTO state_groups_state (state_group, room_id, type, state_key, event_id)
SELECT n::bigint * 20000 + r / 4, room_id, 'm.room.member', '@member' || r || ':remote' || r % 97 || '.example',
       '$' || md5('state' || n || '.' || r) || 'AbCdEfGhIjK'
FROM sizes, generate_series(1, state_rows) AS r
ORDER BY md5('group' || n || '.' || r / 4 || :seed);

INSERT INTO events
    (topological_ordering, event_id, type, room_id, processed, outlier, depth, origin_server_ts, received_ts, sender,
     contains_url, instance_name, stream_ordering)
SELECT e, '$' || md5('event' || n || '.' || e) || 'AbCdEfGhIjK', 'm.room.message', room_id, true, false, e,
       last_ts - (events - e) * 60000::bigint, last_ts - (events - e) * 60000::bigint, '@member' || e || ':remote.example', false, 'master',
       row_number() OVER (ORDER BY md5('order' || n || '.' || e || :seed))
FROM sizes, generate_series(1, events) AS e;

INSERT INTO event_json (event_id, room_id, internal_metadata, json, format_version)
SELECT event_id, room_id, '{}', '{"content":"' || repeat(md5(event_id), 12) || '"}', 3 FROM events;

INSERT INTO event_forward_extremities (event_id, room_id)
SELECT DISTINCT ON (room_id) event_id, room_id FROM events ORDER BY room_id, stream_ordering DESC;

-- What was written is on the disk, so that no later checkpoint disturbs.
CHECKPOINT;
