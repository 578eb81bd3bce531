"""Tests that go the same way with many values: `make test` runs the values that differ in kind, `make test-all` all."""

from collections.abc import Iterable, Mapping

import pytest

Case = Mapping[str, int]  # names of parameters, and the position of the value in the list of the test


def at(name: str, *positions: int) -> tuple[Case, ...]:
    """The cases at these positions of one parameter."""
    return tuple({name: position} for position in positions)


# The cases of a test that `make test` runs, by the folder's and the module's name. All others are slow.
QUICK: dict[str, dict[str, tuple[Case, ...]]] = {
    "api/test_hostile_names": {"test_a_name_is_in_no_header_and_no_log_line": at("name", 0, 1, 2)},
    "cli/test_cli": {"test_ctrl_c_is_no_traceback": at("pause_seconds", 1)},
    "cli/test_doctor": {
        "test_what_is_wrong_is_named_with_what_to_do": at("part", 0, 2, 5),  # a server, a schema, a folder
        "test_missing_one_time_codes_are_reported": at("role", 1, 2),
    },
    "cli/test_sweep": {
        "test_everything_by_the_name_goes_and_nothing_else": at("name", 0, 2, 11),  # plain, a path, a key's beginning
        "test_data_that_may_belong_to_an_existing_name_stays": at("lost", 0, 2),  # a key, a folder
        "test_the_name_of_an_unfinished_deletion_stays": at("status", 1),
        "test_it_is_confirmed_by_typing": at("typed", 0, 1),
    },
    "deletion/test_deletion": {"test_an_instance_is_erased_in_every_state_of_its_session": at("how", 0, 4)},
    "deletion/test_refusals": {
        "test_a_schema_that_is_not_understood_is_refused": at("ddl", 0),
        "test_a_store_that_cannot_be_worked_on_stops_it_before_logout": at("changes", 0, 3),  # refuses, is away
    },
    "deletion/test_rights": {
        "test_a_key_that_may_not_any_more_gets_nothing_deleted": at("loss", 0, 3),
        "test_the_point_of_no_return_is_not_passed_without_rights": at("loss", 0),
    },
    "deletion/test_webhooks": {"test_an_address_that_is_none_is_given_up_at_once": at("url", 0)},
    "gateways/test_name_is_free": {
        "test_what_is_created_after_success_stays": at("distance", 2),
        "test_creates_that_are_tried_during_the_deletion_lose_nothing": at("distance", 2),
        "test_a_create_that_fails_late_cleans_up_the_reservation": at("session_cache", 0),
    },
    "gateways/test_rechecks": {"test_there_are_four_rechecks": at("age_seconds", 0, 3)},
    "records/test_audit": {
        "test_the_database_hashes_canonical_json": at("value", 2, 4),
        "test_each_kind_of_tampering_is_found": at("statements", 0),
        "test_no_line_can_be_changed": at("statement", 0, 5),
    },
    "records/test_receipts": {
        "test_a_receipt_that_was_changed_is_not_shown": at("change", 0),
        "test_nobody_changes_a_receipt": ({"table": 0, "statement": 0}, {"table": 1, "statement": 1}),
        "test_a_receipt_stays_good_after_a_change_of_key": at("change", 0),
    },
    "rehearsal/test_rehearsal": {
        "test_a_cache_user_who_is_limited_to_the_prefix_is_enough": at("rules", 1),
        "test_a_cache_that_refuses_a_command_is_refused": at("command", 0),
        "test_a_bucket_that_refuses_a_call_is_refused": at("action", 0, 3),
        "test_a_bucket_is_as_it_was_after_a_rehearsal": at("status", 1),
        "test_a_folder_that_cannot_be_emptied_is_refused": at("spoil", 0, 2),
    },
    "rehearsal/test_row_rehearsal": {
        # A lost update, a lost delete, an error at the commit, a rule, and a lost index.
        "test_what_cannot_work_is_refused": at("case", 0, 4, 6, 7, 10),
        "test_what_works_is_not_refused": at("name", 2),
        "test_row_level_security_is_refused": at("table", 0),
    },
    "stores/test_rows": {"test_all_rows_go_and_no_others": ({"system": 0, "services": 1},)},
    "stores/test_rows_without_triggers": {
        "test_a_row_of_another_instance_that_refers_to_ours": ({"rule": 0, "when": 1}, {"rule": 3, "when": 0}),
        "test_an_operators_trigger_does_what_it_did": at("change", 0, 3),
        "test_a_message_table_of_several": at("changes", 0),
    },
    "worker/test_pause_timer": {"test_a_deletion_that_was_postponed_goes_on_when_it_is_due": at("beat", 0)},
    "worker/test_redis_refuses": {"test_every_process_outlives_a_redis_that_refuses_writes": at("code", 0, 2)},
}


def mark(items: Iterable[pytest.Item]) -> None:
    """Mark the cases that are not named above as slow; all are quick where none of them is named, as after a change."""
    tests: dict[str, list[tuple[pytest.Item, bool]]] = {}
    for item in items:
        module, name = f"{item.path.parent.name}/{item.path.stem}", getattr(item, "originalname", item.name)
        if cases := QUICK.get(module, {}).get(name):
            indices = item.callspec.indices.items()  # type: ignore[attr-defined] # it has parameters
            tests.setdefault(f"{module}.{name}", []).append((item, any(case.items() <= indices for case in cases)))
    for found in tests.values():
        if any(quick for _, quick in found):
            for item, quick in found:
                if not quick:
                    item.add_marker(pytest.mark.slow)
