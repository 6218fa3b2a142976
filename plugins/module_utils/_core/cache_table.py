# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The caches of Synapse 1.163.2 that follow the cache factor.

Read from Synapse's own sources and compared with them in the tests. Kept in
Python, not JSON: only imported Python reaches a target host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

__all__ = ["CACHES", "DEFAULT_EVENT_CACHE_SIZE", "SYNAPSE_VERSION", "Cache"]

SYNAPSE_VERSION = "1.163.2"

# event_cache_size where homeserver.yaml is silent: "10K".
DEFAULT_EVENT_CACHE_SIZE = 10 * 1024


@dataclass(frozen=True)
class Cache:
    """One cache.

    name: as in the metrics and in C(per_cache_factors).
    kind: Synapse's class; an C(ExpiringCache) of size 0 is unbounded.
    base: its maximum at factor 1.0, in entries or, where flagged, in elements.
    content: what an entry or element holds: C(entry), C(element), C(state), C(event).
    """

    name: str
    kind: str
    base: int
    content: str


CACHES: Tuple[Cache, ...] = (
    Cache("_get_bare_e2e_cross_signing_keys", "cached", 1000, "entry"),
    Cache("_get_cached_user_device", "cached", 1000, "entry"),
    Cache("_get_current_state_event_id", "cached", 100000, "entry"),
    Cache("_get_e2e_cross_signing_signatures_for_device", "cached", 1000, "entry"),
    Cache("_get_e2e_device_keys_for_federation_query_inner", "cached", 1000, "element"),
    Cache("_get_forward_extremeties_for_room", "cached", 5000, "entry"),
    Cache("_get_full_presence_stream_token_for_user", "cached", 1000, "entry"),
    Cache("_get_joined_hosts", "cached", 10000, "element"),
    Cache("_get_joined_hosts_cache", "cached", 10000, "entry"),
    Cache("_get_joined_profile_from_event_id", "cached", 10000, "entry"),
    Cache("_get_linearized_receipts_for_room", "cached", 1000, "entry"),
    Cache("_get_max_event_pos", "cached", 1000, "entry"),
    Cache("_get_membership_from_event_id", "cached", 5000, "entry"),
    Cache("_get_partial_state_servers_at_join", "cached", 1000, "element"),
    Cache("_get_presence_for_user", "cached", 1000, "entry"),
    Cache("_get_receipts_for_user_with_orderings", "cached", 1000, "entry"),
    Cache("_get_rooms_for_local_user_where_membership_is_inner", "cached", 1000, "entry"),
    Cache("_get_server_keys_json", "cached", 1000, "entry"),
    Cache("_get_state_group_for_event", "cached", 50000, "entry"),
    Cache("_matches_user_in_member_list", "cached", 1000, "entry"),
    Cache("check_avatar_size_and_mime_type", "cached", 1000, "entry"),
    Cache("count_e2e_one_time_keys", "cached", 10000, "entry"),
    Cache("did_forget", "cached", 1000, "entry"),
    Cache("does_pair_of_users_share_a_room", "cached", 10000, "entry"),
    Cache("does_pair_of_users_share_a_room_joined_or_invited", "cached", 10000, "entry"),
    Cache("generate_room_entry", "cached", 1000, "entry"),
    Cache("get_account_data_for_room", "cached", 1000, "entry"),
    Cache("get_account_data_for_room_and_type", "cached", 5000, "entry"),
    Cache("get_aliases_for_room", "cached", 5000, "entry"),
    Cache("get_and_clear_connection_positions", "cached", 100000, "element"),
    Cache("get_app_service_users_in_room", "cached", 1000, "element"),
    Cache("get_applicable_edit", "cached", 1000, "entry"),
    Cache("get_cached_devices_for_user", "cached", 1000, "entry"),
    Cache("get_current_hosts_in_room", "cached", 10000, "element"),
    Cache("get_current_hosts_in_room_ordered", "cached", 10000, "element"),
    Cache("get_destination_retry_timings", "cached", 10000, "entry"),
    Cache("get_device", "cached", 1000, "entry"),
    Cache("get_device_list_last_stream_id_for_remote", "cached", 10000, "entry"),
    Cache("get_e2e_unused_fallback_key_types", "cached", 10000, "entry"),
    Cache("get_earliest_token_for_stats", "cached", 1000, "entry"),
    Cache("get_event_ordering", "cached", 5000, "entry"),
    Cache("get_event_reference_hash", "cached", 1000, "entry"),
    Cache("get_expiration_ts_for_user", "cached", 1000, "entry"),
    Cache("get_forgotten_rooms_for_user", "cached", 1000, "entry"),
    Cache("get_global_account_data_by_type_for_user", "cached", 5000, "entry"),
    Cache("get_global_account_data_for_user", "cached", 1000, "entry"),
    Cache("get_id_for_instance", "cached", 1000, "entry"),
    Cache("get_if_user_has_pusher", "cached", 15000, "entry"),
    Cache("get_invited_rooms_for_local_user", "cached", 1000, "entry"),
    Cache("get_latest_event_ids_in_room", "cached", 5000, "element"),
    Cache("get_linearized_receipts_for_all_rooms", "cached", 1000, "entry"),
    Cache("get_local_users_in_room", "cached", 1000, "element"),
    Cache("get_member_counts", "cached", 1000, "entry"),
    Cache("get_metadata_for_event", "cached", 1000, "entry"),
    Cache("get_monthly_active_count", "cached", 1000, "entry"),
    Cache("get_monthly_active_count_by_service", "cached", 1000, "entry"),
    Cache("get_mutual_rooms_between_users", "cached", 1000, "element"),
    Cache("get_name_from_instance_id", "cached", 1000, "entry"),
    Cache("get_number_joined_users_in_room", "cached", 1000, "entry"),
    Cache("get_or_create_notice_room_for_user", "cached", 1000, "entry"),
    Cache("get_partial_current_state_ids", "cached", 100000, "state"),
    Cache("get_partial_rooms", "cached", 10000, "element"),
    Cache("get_push_rules_for_user", "cached", 5000, "entry"),
    Cache("get_ratelimit_for_user", "cached", 10000, "entry"),
    Cache("get_references_for_event", "cached", 1000, "entry"),
    Cache("get_relations_for_event", "cached", 1000, "entry"),
    Cache("get_retention_policy_for_room", "cached", 1000, "entry"),
    Cache("get_room_account_data_for_user", "cached", 1000, "entry"),
    Cache("get_room_encryption", "cached", 10000, "entry"),
    Cache("get_room_summary", "cached", 100000, "entry"),
    Cache("get_room_type", "cached", 10000, "entry"),
    Cache("get_room_version_id", "cached", 10000, "entry"),
    Cache("get_rooms_for_user", "cached", 500000, "element"),
    Cache("get_server_acl_for_room", "cached", 1000, "entry"),
    Cache("get_server_key_json_for_remote", "cached", 1000, "entry"),
    Cache("get_sliding_sync_rooms_for_user_from_membership_snapshots", "cached", 10000, "element"),
    Cache("get_state_group_delta", "cached", 10000, "state"),
    Cache("get_subscribers_to_thread", "cached", 100, "entry"),
    Cache("get_subscription_for_thread", "cached", 1000, "entry"),
    Cache("get_tags_for_room", "cached", 1000, "entry"),
    Cache("get_tags_for_user", "cached", 1000, "entry"),
    Cache("get_thread_id", "cached", 1000, "entry"),
    Cache("get_thread_id_for_receipts", "cached", 1000, "entry"),
    Cache("get_thread_participated", "cached", 1000, "entry"),
    Cache("get_thread_summary", "cached", 1000, "entry"),
    Cache("get_threads", "cached", 1000, "entry"),
    Cache("get_unread_event_push_actions_by_room_for_user", "cached", 5000, "element"),
    Cache("get_user_by_access_token", "cached", 1000, "entry"),
    Cache("get_user_by_external_id", "cached", 1000, "entry"),
    Cache("get_user_by_id", "cached", 1000, "entry"),
    Cache("get_user_deactivated_status", "cached", 1000, "entry"),
    Cache("get_user_filter", "cached", 1000, "entry"),
    Cache("get_user_in_room_with_profile", "cached", 1000, "entry"),
    Cache("get_user_locked_status", "cached", 1000, "entry"),
    Cache("get_user_suspended_status", "cached", 1000, "entry"),
    Cache("get_users_in_room", "cached", 100000, "element"),
    Cache("get_users_in_room_with_profiles", "cached", 100000, "element"),
    Cache("have_seen_event", "cached", 100000, "entry"),
    Cache("ignored_by", "cached", 5000, "element"),
    Cache("ignored_users", "cached", 5000, "element"),
    Cache("is_feature_enabled", "cached", 1000, "entry"),
    Cache("is_guest", "cached", 1000, "entry"),
    Cache("is_host_invited", "cached", 10000, "entry"),
    Cache("is_host_joined", "cached", 10000, "entry"),
    Cache("is_interested_in_event", "cached", 1000, "entry"),
    Cache("is_interested_in_presence", "cached", 1000, "entry"),
    Cache("is_interested_in_room", "cached", 1000, "entry"),
    Cache("is_partial_state_event", "cached", 1000, "entry"),
    Cache("is_partial_state_room", "cached", 10000, "entry"),
    Cache("is_real_user", "cached", 1000, "entry"),
    Cache("is_room_blocked", "cached", 10000, "entry"),
    Cache("is_server_admin", "cached", 100000, "entry"),
    Cache("is_support_user", "cached", 1000, "entry"),
    Cache("is_user_approved", "cached", 1000, "entry"),
    Cache("is_user_erased", "cached", 1000, "entry"),
    Cache("list_enabled_features", "cached", 1000, "entry"),
    Cache("mark_access_token_as_used", "cached", 1000, "entry"),
    Cache("maybe_get_notice_room_for_user", "cached", 1000, "entry"),
    Cache("user_last_seen_monthly_active", "cached", 1000, "entry"),
    Cache("*getEvent*", "AsyncLruCache", DEFAULT_EVENT_CACHE_SIZE, "event"),
    Cache("*stateGroupCache*", "DictionaryCache", 50000, "state"),
    Cache("*stateGroupMembersCache*", "DictionaryCache", 500000, "state"),
    Cache("AccountDataAndTagsChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("DeviceFederationOutboxStreamChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("DeviceInboxStreamChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("DeviceListFederationStreamChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("DeviceListRoomStreamChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("DeviceListStreamChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("EventsRoomStreamChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("MembershipStreamChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("PresenceStreamChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("PushRulesStreamChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("ReceiptsRoomChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("TypingStreamChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("UserSignatureStreamChangeCache", "StreamChangeCache", 10000, "entry"),
    Cache("_curr_state_delta_stream_cache", "StreamChangeCache", 10000, "entry"),
    Cache("_event_auth_cache", "LruCache", 500000, "element"),
    Cache("client_ip_last_seen", "LruCache", 50000, "entry"),
    Cache("device_update_edu", "ExpiringCache", 10000, "element"),
    Cache("get_pdu_cache", "ExpiringCache", 1000, "entry"),
    Cache("get_room_hierarchy_cache", "ExpiringCache", 1000, "entry"),
    Cache("last_device_delete_cache", "ExpiringCache", 10000, "entry"),
    Cache("state_cache", "ExpiringCache", 100000, "state"),
    Cache("state_conflict_resolution_cache", "ExpiringCache", 100000, "state"),
    Cache("sync_valid_filter", "LruCache", 1000, "entry"),
)
