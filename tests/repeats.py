"""What `make test` leaves to `make test-all`: values of a kind that is tried already, and paths that repeat another."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

Case = Mapping[str, Any]  # names of parameters, and their values; of a function, its name


def with_values(name: str, *values: Any) -> tuple[Case, ...]:
    """The cases in which one parameter has one of these values."""
    return tuple({name: value} for value in values)


# The cases of a test that `make test` runs, by the folder's and the module's name. All others are slow.
QUICK: dict[str, dict[str, tuple[Case, ...]]] = {
    "api/test_hostile_names": {
        "test_a_name_is_in_no_header_and_no_log_line": with_values(
            "name", "planted\r\nX-Planted: yes", 'planted","error":false,"x":"'
        ),
    },
    "api/test_slow_clients": {"test_a_body_above_the_limit_is_413": with_values("method", "POST /deletions")},
    "cli/test_cli": {"test_ctrl_c_is_no_traceback": with_values("pause_seconds", 0.6)},
    "cli/test_doctor": {
        "test_what_is_wrong_is_named_with_what_to_do": with_values("variable", "DATABASE_URL", "S3_BUCKET"),
        "test_missing_one_time_codes_are_reported": with_values("verdict", "ok"),
    },
    "cli/test_sweep": {
        "test_everything_by_the_name_goes_and_nothing_else": with_values("name", "lost", "a/b", "neighbour:lock"),
        "test_data_that_may_belong_to_an_existing_name_stays": with_values("lost", "a:lock", "a/b"),
        "test_the_name_of_an_unfinished_deletion_stays": with_values("status", "failed"),
        "test_it_is_confirmed_by_typing": with_values("typed", "remove 10\n", "yes\n"),
    },
    "deletion/test_deletion": {
        "test_an_instance_is_erased_in_every_state_of_its_session": with_values("how", "open"),
    },
    "deletion/test_refusals": {
        "test_a_schema_that_is_not_understood_is_refused": with_values("named", "Loop"),
        "test_a_store_that_cannot_be_worked_on_stops_it_before_logout": with_values(
            "words", "files root", "bucket cannot be reached"
        ),
    },
    "deletion/test_rights": {
        "test_a_key_that_may_not_any_more_gets_nothing_deleted": with_values("loss", "revoked", "limited away"),
        "test_the_point_of_no_return_is_not_passed_without_rights": with_values("loss", "revoked"),
    },
    "deletion/test_webhooks": {"test_an_address_that_is_none_is_given_up_at_once": with_values("url", "not a url")},
    "evidence/test_stamps": {
        "test_an_answer_that_is_wrong_is_not_stored": with_values("spoil", "other document", "replay", "changed"),
    },
    "gateways/test_name_is_free": {
        "test_what_is_created_after_success_stays": with_values("distance", 0.03),
    },
    "gateways/test_unlisted_servers": {
        "test_doctor_counts_the_instances_of_servers_that_are_not_listed": with_values("verdict", "broken"),
    },
    "gateways/test_rechecks": {"test_there_are_four_rechecks": with_values("age_seconds", 61, 3601)},
    "records/test_audit": {
        "test_the_database_hashes_canonical_json": with_values("value", "é\u2028😀"),
        "test_each_kind_of_tampering_is_found": with_values("says", "line 1 was changed", "line 1 was removed"),
        "test_no_line_can_be_changed": with_values("statement", "DELETE FROM audit", "UPDATE audit_head SET seq = 0"),
    },
    "records/test_receipts": {
        "test_a_receipt_that_was_changed_is_not_shown": with_values("change", "left(document, -1)"),
        "test_nobody_changes_a_receipt": (
            {"table": "receipts", "statement": "DELETE FROM {}"},
            {"table": "receipt_keys", "statement": "TRUNCATE {}"},
        ),
    },
    "rehearsal/test_coverage": {
        "test_what_the_database_keeps_is_said": with_values("case", "a view's copy"),
        "test_a_link_among_the_instances_files_is_said": with_values("by", "inside"),
    },
    "rehearsal/test_rehearsal": {
        "test_a_cache_user_who_is_limited_to_the_prefix_is_enough": with_values("rules", ("+@all", "-@scripting")),
        "test_a_cache_that_refuses_a_command_is_refused": with_values("command", "unlink"),
        "test_a_bucket_that_refuses_a_call_is_refused": with_values("action", "POST?delete"),
        "test_a_bucket_is_as_it_was_after_a_rehearsal": with_values("status", "Enabled"),
        "test_a_folder_that_cannot_be_emptied_is_refused": with_values("spoil", "make_read_only", "give_away"),
    },
    "rehearsal/test_row_rehearsal": {
        "test_what_cannot_work_is_refused": with_values(
            "case",
            "an update that becomes nothing",
            "a deletion of a row that becomes nothing",
            "an error at the commit",
            "a rule",
            "a lost unique index",
        ),
        "test_what_works_is_not_refused": with_values("name", "a trigger that lets all pass"),
        "test_row_level_security_is_refused": with_values("table", "Message"),
    },
    "rows/test_rows": {"test_all_rows_go_and_no_others": ({"system": 1, "services": "auto"},)},
    "rows/test_rows_without_triggers": {
        "test_a_row_of_another_instance_that_refers_to_ours": (
            {"rule": "ON DELETE CASCADE", "when": "meanwhile"},
            {"rule": "ON DELETE RESTRICT", "when": "before"},
        ),
        "test_an_operators_trigger_does_what_it_did": with_values("fired", 0),
    },
    "shared/test_services": {"test_a_store_that_is_set_has_its_client": with_values("setting", "s3_bucket")},
    "stores/test_kafka": {
        "test_a_name_without_topics_makes_none": with_values("name", "a b", "none"),
        "test_brokers_that_delete_no_topics_are_noticed": with_values("says", "Topic authorization failed"),
    },
    "stores/test_cache_pass": {
        "test_another_ones_pass_proves_nothing_for_long": ({"age_seconds": 3600, "late": "instance:{}"},)
    },
    "worker/test_pause_timer": {
        "test_a_deletion_that_was_postponed_goes_on_when_it_is_due": with_values("beat", ()),
    },
}

# Modules that are slow as a whole, each for a deployment of a kind that needs servers of its own, or for a fault.
SLOW_MODULES = {
    "rehearsal/test_zero_rows",
    "stores/test_private_authority",
    "worker/test_client_certificates",
    "worker/test_redis_refuses",
    "worker/test_sentinel",
}

# Tests that are slow as a whole: each repeats a path that another test of `make test` goes, or waits for a time.
SLOW: dict[str, set[str]] = {
    "api/test_rate_limit": {
        "test_a_failed_deletion_is_not_resumed_above_the_limit",
        "test_a_full_hour_uses_up_no_minute",
        "test_forty_calls_at_once_are_ten_deletions",
        "test_a_new_secret_is_no_new_limit",
    },
    "api/test_clients": {"test_evolutions_global_key_deletes_where_it_may"},  # access/test_global_key has it
    # What doctor says of each store in turn; the kinds are in test_what_is_wrong_is_named_with_what_to_do.
    "cli/test_doctor": {
        "test_an_empty_cache_beside_connected_instances_is_said",
        "test_a_files_root_without_a_folder_of_any_instance_is_said",
        "test_a_dead_cache_hides_no_storage",
        "test_it_says_whether_evolutions_clients_need_another_key",
        "test_a_replica_that_cannot_be_asked_is_said",
        "test_sessions_that_are_in_the_cache_need_no_folder",
        "test_a_dead_tenant_database_is_not_reported_as_a_wrong_schema",
        "test_the_advice_for_a_dead_broker_names_its_setting",
        "test_the_cost_of_a_missing_index_is_told_in_words",
        "test_a_partial_index_and_one_of_another_kind_do_not_count",
    },
    # Data by a name, in each form; test_everything_by_the_name_goes_and_nothing_else has the path.
    "cli/test_sweep": {
        "test_each_place_is_shown_with_the_name",
        "test_the_folder_of_a_living_name_in_the_folder_of_a_lost_one_stays",
        "test_a_reserved_name_stays",
        "test_the_name_of_an_ended_deletion_is_a_leftover",
        "test_a_name_is_looked_at_again_before_each_removal",
        "test_links_and_files_next_to_the_folders_of_names_are_no_leftovers",
        "test_a_field_is_as_old_as_its_value_says",
        "test_a_field_of_another_form_has_no_age",
        "test_what_is_young_of_a_name_keeps_all_of_it",
        "test_a_session_by_a_name_that_begins_like_an_id_stays",
        "test_no_name_is_in_the_audit",
        "test_a_name_steers_no_terminal",
        "test_a_key_that_is_no_text_stops_nothing",
        "test_old_versions_of_payloads_are_found",
    },
    "console/test_console_rights": {
        "test_giving_up_is_confirmed_where_going_on_is",
        "test_a_demanded_code_is_asked_for",
    },
    # They wait until the gateway's or the pause's time is over.
    "deletion/test_deletion": {"test_a_dead_socket_is_recorded"},
    "gateways/test_in_memory": {"test_a_dead_socket_is_no_success"},
    "gateways/test_reservation": {
        "test_a_late_gateway_keeps_the_name_taken",
        "test_media_that_cannot_be_seen_do_not_count_as_gone",
    },
    "gateways/test_name_is_free": {
        "test_creates_that_are_tried_during_the_deletion_lose_nothing",
        "test_a_create_that_fails_late_cleans_up_the_reservation",
        "test_a_server_that_was_restarted_is_not_waited_for",
        "test_a_name_that_an_earlier_version_left_reserved_is_given_back",
        "test_channels_are_put_back_when_the_right_is_lost",
        "test_the_clean_up_of_another_server_is_no_acknowledgement",
        "test_what_is_never_seen_ends_by_the_clock",
        "test_a_name_that_waited_for_an_absent_gateway_has_its_quiet_time",
    },
    "worker/test_pause_timer": {"test_the_next_try_comes_when_the_api_says"},
    "worker/test_traces": {"test_what_the_reconciler_publishes_keeps_the_request_id"},
    "gateways/test_rechecks": {
        "test_a_folder_without_a_file_came_back_as_well",
        "test_all_that_are_due_share_one_pass_over_the_keys",
        "test_a_row_that_is_there_again_is_reported_once_and_left_alone",
        "test_what_cannot_be_erased_is_reported_and_tried_again",
        "test_a_row_that_comes_back_during_the_look_is_left_alone",
        "test_two_workers_at_once_erase_and_report_once",
        "test_what_is_not_due_is_not_looked_for",
        "test_without_anything_due_no_store_is_asked",
        "test_a_store_that_stays_away_is_given_up",
        "test_an_id_that_was_erased_twice_is_reported_once",
    },
    # Each form of a table that keeps its triggers; the kinds are in the tests that stay.
    "rows/test_rows_without_triggers": {
        "test_a_deletion_that_is_killed_leaves_nothing_dangling",
        "test_a_deferred_reference_is_refused_at_its_commit",
        "test_a_table_that_is_keyed_to_messages_alone",
        "test_a_trigger_that_is_added_meanwhile_fires_from_then_on",
        "test_a_rule_keeps_the_triggers",
        "test_messages_that_refer_to_messages",
        "test_a_reference_in_an_open_transaction_is_waited_for",
        "test_a_message_table_of_several",
    },
    # Six schemas on one path; all other tests run on that of the newest.
    "rows/test_versions": {"test_every_version_is_erased_from_and_a_worker_outlives_its_migrations"},
    # Each starts Python once more, to see what a process of the API has loaded.
    "server/test_gunicorn_config": {
        "test_the_application_alone_loads_no_migrations",
        "test_making_the_application_starts_no_thread_and_opens_no_connection",
    },
    # Calls in flight against servers that are slow or busy.
    "stores/test_s3_dialects": {
        "test_objects_go_with_a_few_calls_in_flight",
        "test_a_worker_that_is_killed_in_the_middle_finishes_once",
        "test_a_server_that_stays_busy_lets_the_deletion_wait",
        "test_a_server_that_is_busy_gets_fewer_calls",
    },
    # More than one page of S3's answers.
    "stores/test_s3_bucket": {"test_all_unfinished_uploads_are_counted_and_removed"},
    "records/test_receipts": {
        "test_processes_that_start_at_once_make_one_key",
        "test_a_key_that_was_made_here_is_sealed",
        "test_what_cannot_be_signed_now_is_signed_later",
    },
    "records/test_audit": {
        "test_a_line_with_a_hash_that_fits_breaks_the_next_one",
        "test_many_addresses_cost_a_bounded_number_of_lines",
        "test_a_known_keys_refusals_have_lines_up_to_a_bound",
    },
}


def name_of(path: Path) -> str:
    """The folder's and the module's name."""
    return f"{path.parent.name}/{path.stem}"


def mark(items: Iterable[pytest.Item]) -> None:
    """Mark what is slow; all cases of a test are quick where none of them is named, as after a change."""
    tests: dict[str, list[tuple[pytest.Item, bool]]] = {}
    for item in items:
        module, name = name_of(item.path), getattr(item, "originalname", item.name)
        if module in SLOW_MODULES or name in SLOW.get(module, ()):
            item.add_marker(pytest.mark.slow)
        if cases := QUICK.get(module, {}).get(name):
            values = {key: _plain(value) for key, value in item.callspec.params.items()}  # type: ignore[attr-defined]
            quick = any(all(key in values and values[key] == case[key] for key in case) for case in cases)
            tests.setdefault(f"{module}.{name}", []).append((item, quick))
    for found in tests.values():
        if any(quick for _, quick in found):
            for item, quick in found:
                if not quick:
                    item.add_marker(pytest.mark.slow)


def _plain(value: Any) -> Any:
    return value.__name__ if callable(value) else value
