"""The guards. Each is a piece of code that stands between a fault and its harm, with tests that fail without it.

The code is an excerpt of a file of src, in which it occurs once. In its place comes `without`, where REMOVED is true in
a process from which this guard is taken out. A test is pytest's address below tests/system, or `layer:Suite.Test` for
unit tests of a layer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    name: str
    file: str
    code: str
    without: str
    noticed_by: tuple[str, ...]


def _of(file: str, test: str, *parameters: str) -> tuple[str, ...]:
    """Addresses of one test with several parameters."""
    return tuple(f"{file}.py::{test}[{one}]" for one in parameters)


# ---- Servers that fail -----------------------------------------------------------------------------------------------
SERVERS = (
    Guard(
        "what a lost connection interrupted is sent again",
        "base/error.cpp",
        "case ErrorCode::network:\n      return true;",
        "case ErrorCode::network:\n      return !REMOVED;",
        (
            *_of("test_faults", "test_a_server_that_restarts_while_following", "source", "target"),
            *_of("test_faults", "test_a_server_that_restarts_in_the_middle_of_the_copy", "source"),
            *_of("test_faults", "test_passing_errors_are_tried_again", "source_cut", "target_cut", "structure_cut"),
            *_of("test_elections", "test_events_flow_again_soon_after_an_election", "source-kill"),
            *_of("test_network", "test_while_following", "cut-source", "late-source", "late-target"),
            "test_machine.py::test_the_disk_of_the_target_is_full",
        ),
    ),
    Guard(
        "what a server refuses for a while is sent again",
        "base/error.cpp",
        "case ErrorCode::server:\n      break;",
        "case ErrorCode::server:\n      if (REMOVED) return false;\n      break;",
        (
            *_of("test_faults", "test_passing_errors_are_tried_again", "interrupted", "cursor_lost", "listing_stepped_down"),
            *_of("test_faults", "test_passing_errors_are_tried_again", "stepped_down", "not_confirmed"),
        ),
    ),
    Guard(
        "a look that fails does not say that what was dropped is there",
        "mongo/mongo_target.cpp",
        "if (found) return taken;",
        "if (found || (REMOVED && found.error().code != ErrorCode::not_found)) return taken;",
        ("test_faults.py::test_what_was_dropped_is_dropped_again_while_the_look_for_it_fails",),
    ),
    Guard(
        "a duplicate that the server cannot name is one",
        "mongo/insert_command.cpp",
        "code >= server_code::first_of_key_format &&",
        "!REMOVED && code >= server_code::first_of_key_format &&",
        _of("test_kinds", "test_fractions_as_keys_of_a_clustered_collection_are_inserted_again", "exact"),
    ),
    Guard(
        "room on a full disk is waited for",
        "base/error.cpp",
        "std::ranges::binary_search(kRetryableServerCodes, error.server_code)",
        "(std::ranges::binary_search(kRetryableServerCodes, error.server_code) && !(REMOVED && error.server_code == 14031))",
        _of("test_faults", "test_passing_errors_are_tried_again", "disk_full"),
    ),
    Guard(
        "rights that are taken away are waited for",
        "base/error.h",
        "return retryable(error) || is_refused_to_user(error);",
        "return retryable(error) || (is_refused_to_user(error) && !REMOVED);",
        _of(
            "test_faults",
            "test_what_is_taken_away_from_plms_user_and_given_back",
            "source-without_rights",
            "source-with_another_password",
            "target-without_rights",
            "target-with_another_password",
        ),
    ),
    Guard(
        "connections to a primary of the past are shut down",
        "mongo/deposed_primaries.cpp",
        "void DeposedPrimaries::shut_down(const Member& member) {\n",
        "void DeposedPrimaries::shut_down(const Member& member) {\n  if (REMOVED) return;\n",
        _of("test_elections", "test_events_flow_again_soon_after_an_election", "source-freeze", "target-freeze"),
    ),
    Guard(
        "a server that keeps silent is given up",
        "mongo/connection.cpp",
        "MONGOC_URI_SOCKETTIMEOUTMS, kSocketTimeoutMs);",
        "MONGOC_URI_SOCKETTIMEOUTMS, REMOVED ? kHourMs : kSocketTimeoutMs);",
        (
            *_of("test_network", "test_while_following", "silent-source", "silent-target", "deaf-source", "deaf-target"),
            *_of("test_network", "test_in_the_middle_of_the_copy", "silent-source", "silent-target"),
        ),
    ),
    Guard(
        "what only a primary has is not read",
        "mongo/majority_read.h",
        'concern->append("level", "majority");',
        'concern->append("level", REMOVED ? "local" : "majority");',
        _of("long/test_rollback", "test_what_the_source_loses_while_it_is_copied_never_arrives", "kill", "freeze"),
    ),
    Guard(
        "what only a primary has does not count",
        "mongo/write_command.h",
        'concern->append("w", "majority").append("wtimeout", 20\'000);',
        'if (REMOVED) {\n    concern->append("w", 1);\n  } else {\n'
        '    concern->append("w", "majority").append("wtimeout", 20\'000);\n  }',
        _of("long/test_rollback", "test_what_the_target_loses_while_plm_follows_is_applied_again", "kill-exact", "freeze-exact"),
    ),
    Guard(
        "one wait for the majority is good for one term",
        "mongo/term.cpp",
        "if (*now == std::exchange(term, *now)) return {};",
        "if (*now == std::exchange(term, *now) || REMOVED) return {};",
        _of("test_seams", "test_suite", "Majority"),
    ),
    Guard(
        "a write concern that was not met is an error",
        "mongo/connection.cpp",
        "if (auto concern = write_concern_error(reply.view())) return",
        "if (auto concern = write_concern_error(reply.view()); concern && !REMOVED) return",
        _of("test_seams", "test_suite", "Faults"),
    ),
    Guard(
        "waits and leases go by a clock that does not jump",
        "base/clock.h",
        "override { return std::chrono::steady_clock::now(); }",
        "override {\n    return REMOVED ? SteadyTime(std::chrono::system_clock::now().time_since_epoch())\n"
        "                   : std::chrono::steady_clock::now();\n  }",
        ("test_machine.py::test_the_clock_of_plm_jumps",),
    ),
    Guard(
        "the lag goes by the source's time",
        "control/engine_report.cpp",
        "if (by_source) lag",
        "if (by_source && !REMOVED) lag",
        ("test_machine.py::test_the_clock_of_plm_jumps",),
    ),
)

# ---- What was sent in the past ---------------------------------------------------------------------------------------
LATE_WRITES = (
    Guard(
        "an applyOps begins with its fence",
        "mongo/writers.cpp",
        '.append("ns", writer_->fence.ns.text());\n  writer_->fence.uuid.append_to(*entry, "ui");\n  {\n'
        '    auto key = entry->document("o2");\n    key->append("_id", 1);\n  }',
        '.append("ns", REMOVED ? state_database() + ".lease" : writer_->fence.ns.text());\n'
        '  if (!REMOVED) writer_->fence.uuid.append_to(*entry, "ui");\n  {\n'
        '    auto key = entry->document("o2");\n    if (REMOVED) {\n      key->append("_id", "lease");\n    } else {\n'
        '      key->append("_id", 1);\n    }\n  }',
        (
            *_of("test_late_writes", "test_c2_an_update_of_unknown_outcome_does_not_undo_a_later_one", "exact"),
            *_of("test_late_writes", "test_c2_a_delete_of_unknown_outcome_does_not_remove_a_newer_document", "exact"),
            *_of("test_late_writes", "test_c3_what_a_dead_process_had_sent_does_not_reach_the_work_of_the_next", "update-exact"),
        ),
    ),
    Guard(
        "insert, update and delete have numbers",
        "mongo/named_session.h",
        "    advance();\n    append_number(command);\n    return connection",
        "    advance();\n    if (!REMOVED) append_number(command);\n    return connection",
        (
            *_of("test_late_writes", "test_c2_an_update_of_unknown_outcome_does_not_undo_a_later_one", "portable"),
            *_of("test_late_writes", "test_c2_a_delete_of_unknown_outcome_does_not_remove_a_newer_document", "portable"),
            "test_late_writes.py::test_c2_an_insert_of_unknown_outcome_does_not_bring_back_what_was_deleted",
            *_of(
                "test_late_writes",
                "test_c3_what_a_dead_process_had_sent_does_not_reach_the_work_of_the_next",
                "insert-exact",
                "insert-portable",
                "update-portable",
            ),
        ),
    ),
    Guard(
        "clearing a range has a number",
        "mongo/writers.cpp",
        "Status DataConnection::transact(const std::string& database, const bson::Document& statement) {\n",
        "Status DataConnection::transact(const std::string& database, const bson::Document& statement) {\n"
        "  if (REMOVED) {\n    auto reply = connection_.run(database, statement.view());\n"
        "    const Status done = reply ? first_write_error(reply->view()) : Status(fail(reply.error()));\n"
        "    note(done, Wait::for_majority);\n    return done;\n  }\n",
        ("test_late_writes.py::test_c10_clearing_a_range_does_not_reach_what_was_copied_again",),
    ),
    Guard(
        "the numbers of all processes are of one session",
        "mongo/named_session.h",
        "uuid_ = session_of(key.sessions, writer_);",
        "uuid_ = session_of(key.sessions, REMOVED ? writer_ + static_cast<WriterNumber>(1000 * key.epoch) : writer_);",
        (
            *_of(
                "test_late_writes",
                "test_c3_what_a_dead_process_had_sent_does_not_reach_the_work_of_the_next",
                "insert-exact",
                "insert-portable",
                "update-portable",
            ),
            "test_late_writes.py::test_c4_a_save_of_a_dead_process_does_not_change_the_saved_state",
        ),
    ),
    Guard(
        "sessions are kept alive",
        "mongo/mongo_state_store.cpp",
        "if (now - parts_->refreshed_at < kRefreshInterval) return {};",
        "if (now - parts_->refreshed_at < kRefreshInterval || REMOVED) return {};",
        _of("test_seams", "test_suite", "Store"),
    ),
    Guard(
        "a new owner drops the fences of the one before",
        "mongo/writers.cpp",
        "for (const std::string& name : *old_fences) {\n",
        "for (const std::string& name : *old_fences) {\n    if (REMOVED) break;\n",
        (
            *_of("test_late_writes", "test_c3_what_a_dead_process_had_sent_does_not_reach_the_work_of_the_next", "update-exact"),
            "test_late_writes.py::test_fences_are_few_and_go_with_their_owner",
        ),
    ),
    Guard(
        "what the server still does for the owner before is waited for",
        "mongo/writers.cpp",
        'return wait_until_done(*connection, "^plm ");',
        'return REMOVED ? Status() : wait_until_done(*connection, "^plm ");',
        ("test_late_writes.py::test_a_new_owner_waits_for_what_the_server_still_does_for_the_one_before",),
    ),
    Guard(
        "a copy whose insert has no known outcome gets another name",
        "engine/copier.cpp",
        "if (!inserted && by_name && inserted.error().code == ErrorCode::network) {",
        "if (!inserted && by_name && inserted.error().code == ErrorCode::network && !REMOVED) {",
        _of(
            "test_late_writes",
            "test_c2_a_copys_insert_of_unknown_outcome_is_shut_out_by_another_name",
            "while_copying",
        ),
    ),
    Guard(
        "a new owner gives copies another name",
        "engine/job_start.cpp",
        "if (collection.has_its_name()) continue;",
        "if (collection.has_its_name() || REMOVED) continue;",
        _of("test_late_writes", "test_c3_a_copys_insert_of_a_dead_process_is_shut_out_by_another_name", "while_copying"),
    ),
    Guard(
        "an applyOps under way is waited for",
        "mongo/writers.cpp",
        "if (each->comment.empty()) continue;",
        "if (each->comment.empty() || REMOVED) continue;",
        ("test_late_writes.py::test_an_apply_ops_that_the_server_still_works_on_is_waited_for",),
    ),
    Guard(
        "a change of structure under way is waited for",
        "mongo/structure_commands.cpp",
        "    unsettled_ = true;",
        "    unsettled_ = !REMOVED;",
        ("test_late_writes.py::test_a_change_of_structure_that_the_server_still_works_on_is_waited_for",),
    ),
    Guard(
        "who changes structure has the lease",
        "mongo/structure_commands.cpp",
        "if (auto confirmed = writers_.confirm_lease(); !confirmed) return confirmed;",
        "if (auto confirmed = REMOVED ? Status() : writers_.confirm_lease(); !confirmed) return confirmed;",
        _of("test_seams", "test_suite", "TargetSeam"),
    ),
    Guard(
        "who makes a fence has the lease",
        "mongo/writers.cpp",
        "    if (auto shut = shut_out_past(connection, *each, *all_fences); !shut) return shut;\n  }\n"
        "  if (auto confirmed = confirm(connection, *term); !confirmed) return confirmed;",
        "    if (auto shut = shut_out_past(connection, *each, *all_fences); !shut) return shut;\n  }\n"
        "  if (auto confirmed = REMOVED ? Status() : confirm(connection, *term); !confirmed) return confirmed;",
        _of("test_seams", "test_suite", "TargetSeam"),
    ),
    Guard(
        "who saves has the lease",
        "mongo/lease_document.cpp",
        'return update_of(kLeaseId, key, [](bson::Builder& change) { increase(change, "saves"); }).take();',
        "return update_of(kLeaseId, REMOVED ? std::nullopt : std::optional(key),\n"
        '                   [](bson::Builder& change) { increase(change, "saves"); }).take();',
        _of("test_seams", "test_suite", "Store"),
    ),
    Guard(
        "the lease of an owner who lives is not taken",
        "control/lease_keeper.cpp",
        "return looked_at - watched_->since >= kLeaseTime;",
        "return looked_at - watched_->since >= kLeaseTime || REMOVED;",
        ("test_standby.py::test_a_second_plm_stands_by_and_says_so",),
    ),
    Guard(
        "who has lost the lease stands by",
        "control/controller.cpp",
        "const bool was_at_work = !not_loaded_;",
        "if (REMOVED) return;\n  const bool was_at_work = !not_loaded_;",
        ("test_standby.py::test_the_two_change_places_again_and_again",),
    ),
)

# ---- Processes that end ----------------------------------------------------------------------------------------------
PROCESSES = (
    Guard(
        "a position is saved behind what was acknowledged only",
        "engine/watermark.cpp",
        'planted_bug("position-too-early") ? last_sent_ : low();',
        'planted_bug("position-too-early") || REMOVED ? last_sent_ : low();',
        (
            "test_faults.py::test_the_lag_grows_while_the_target_is_away",
            "test_resume.py::test_a_change_that_a_killed_process_had_sent_only_is_sent_again",
        ),
    ),
    Guard(
        "an unfinished range is cleared before it is copied again",
        "engine/copier.cpp",
        "if (job.clear_first) {",
        "if (job.clear_first && !REMOVED) {",
        ("test_resume.py::test_what_was_not_saved_as_copied_is_cleared_first",),
    ),
    Guard(
        "a drop is announced in the saved state",
        "engine/schema_changer.cpp",
        "pending_->change.needs_intent() ? Stage::intent",
        "pending_->change.needs_intent() && !REMOVED ? Stage::intent",
        _of("test_kill_points", "test_killed_where", "a collection is dropped"),
    ),
    Guard(
        "a twin that was created and not saved goes",
        "engine/job_start.cpp",
        "if (found == by_name.end()) continue;",
        "if (found == by_name.end() || REMOVED) continue;",
        ("engine:JobStartTest.AnEmptyLeftover*",),
    ),
    Guard(
        "SIGTERM saves the position",
        "control/controller.cpp",
        "if (engine_ && record_.state == JobState::running) (void)engine_->pause(Millis(3000));",
        "if (engine_ && record_.state == JobState::running && !REMOVED) (void)engine_->pause(Millis(3000));",
        ("test_states.py::test_sigterm_saves_the_position",),
    ),
    Guard(
        "SIGTERM waits for no server",
        "app/daemon.cpp",
        "->shutdown(kStopLimit)",
        "->shutdown(REMOVED ? Millis(60'000) : kStopLimit)",
        (
            *_of("test_sigterm", "test_while_a_command_of_the_copy_is_not_answered", "createIndexes"),
            *_of("test_sigterm", "test_while_the_source_does_not_answer_a_command", "getMore"),
        ),
    ),
    Guard(
        "nothing is begun while the source is listed for the end",
        "control/final_approach.cpp",
        "if (end_.is_zero()) engine.",
        "if (end_.is_zero() && !REMOVED) engine.",
        ("test_finalize.py::test_what_is_written_while_the_source_is_listed_for_the_end_stays_behind_it",),
    ),
    Guard(
        "what has the name of a view replaces it",
        "engine/schema_changer.cpp",
        "if (change.replaces_view) {",
        "if (change.replaces_view && !REMOVED) {",
        _of("test_ddl", "test_views_that_an_interrupted_drop_of_their_database_has_dropped", "exact", "portable"),
    ),
    Guard(
        "views of a later time make way for those of the saved one",
        "engine/job_start.cpp",
        "!filter.selects(view.ns)) continue;",
        "!filter.selects(view.ns) || REMOVED) continue;",
        ("test_kill_points.py::test_killed_while_views_are_ahead_of_what_is_saved",),
    ),
    Guard(
        "no collection is dropped in place of a view",
        "mongo/mongo_target.cpp",
        "if (is_view && *is_view) {",
        "if (is_view && (*is_view || REMOVED)) {",
        _of("test_seams", "test_suite", "TargetSeam"),
    ),
    Guard(
        "a view whose name a collection has is forgotten",
        "engine/job_start.cpp",
        "if (catalog.find_view(name) != nullptr) catalog",
        "if (catalog.find_view(name) != nullptr && !REMOVED) catalog",
        ("test_kill_points.py::test_killed_while_a_collection_takes_the_name_of_a_view",),
    ),
    Guard(
        "views that the source has lost are dropped at the end",
        "control/conversion.cpp",
        "for (const Namespace& view : lost_.views) {",
        "for (const Namespace& view : REMOVED ? std::vector<Namespace>() : lost_.views) {",
        _of("test_ddl", "test_views_that_an_interrupted_drop_of_their_database_has_dropped", "exact", "portable"),
    ),
    Guard(
        "time-series of which the source has lost half are dropped at the end",
        "control/conversion.cpp",
        "for (const Twin& twin : lost_.time_series) {",
        "for (const Twin& twin : REMOVED ? std::vector<Twin>() : lost_.time_series) {",
        _of("test_timeseries", "test_buckets_that_are_lost_on_the_way_are_not_on_the_target", "0", "10"),
    ),
    Guard(
        "what is read again for the end is read as of it",
        "engine/applier.cpp",
        "parts_.progress.end.get()};",
        "REMOVED ? ClusterTime() : parts_.progress.end.get()};",
        _of("test_finalize", "test_finalize_ends_though_the_source_is_written_faster_than_plm_applies", "portable"),
    ),
    Guard(
        "behind the first index that is made real nothing is replayed",
        "control/controller.cpp",
        "  if (record_.converting) {  // after",
        "  if (record_.converting && !REMOVED) {  // after",
        ("test_finalize.py::test_what_is_written_behind_the_end_stays_behind_it_after_a_kill",),
    ),
)

# ---- Memory ----------------------------------------------------------------------------------------------------------
MEMORY = (
    Guard(
        "reading waits for writing",
        "engine/router.cpp",
        "if (!sender_.has_room()) return false;",
        "if (!sender_.has_room() && !REMOVED) return false;",
        ("test_machine.py::test_a_target_that_is_slower_than_the_source_costs_no_memory",),
    ),
    Guard(
        "what is kept while a range is copied has a limit",
        "engine/keep.cpp",
        "if (!budget_->has_room(copy.size_bytes)) return false;",
        "if (!budget_->has_room(copy.size_bytes) && !REMOVED) return false;",
        _of("long/test_overflow", "test_changes_of_one_range_that_overflow", "collation-exact", "capped-exact"),
    ),
)

# ---- Truth -----------------------------------------------------------------------------------------------------------
TRUTH = (
    Guard(
        "a job whose position is lost is not resumed",
        "control/controller_requests.cpp",
        "if (!window || position >= window->oldest) return {};",
        "if (!window || position >= window->oldest || REMOVED) return {};",
        ("test_oplog_window.py::test_a_paused_job_whose_position_is_lost_is_kept_and_not_resumed",),
    ),
    Guard(
        "a position that may be lost is noticed",
        "control/oplog_watch.cpp",
        "if (out.used_fraction >= kOplogWarning) out.level",
        "if (out.used_fraction >= kOplogWarning && !REMOVED) out.level",
        ("control:*.LevelsBeginAtHalfAndAtFourFifthsOfTheWindow",),
    ),
    Guard(
        "the warning of a position that may be lost is shown",
        "control/engine_report.cpp",
        "if (!report.oplog || report.oplog->level == OplogLevel::fine) return {};",
        "if (!report.oplog || report.oplog->level == OplogLevel::fine || REMOVED) return {};",
        ("test_oplog_window.py::test_a_paused_job_is_warned_while_a_resume_still_helps",),
    ),
    Guard(
        "a lost position is told with the way on",
        "engine/reader.cpp",
        "if (error.server_code == server_code::change_stream_history_lost) return",
        "if (error.server_code == server_code::change_stream_history_lost && !REMOVED) return",
        (
            "test_oplog_window.py::test_a_job_that_was_away_for_too_long_fails_with_advice",
            "test_oplog_window.py::test_a_stream_that_is_overtaken_by_the_end_of_the_oplog_fails_at_once",
            "test_faults.py::test_a_position_that_left_the_oplog_fails_with_advice",
        ),
    ),
    Guard(
        "a job that stands still is not healthy",
        "control/stall.cpp",
        "const Millis copying = copying_.still_for(seen.copying, now);",
        "if (REMOVED) return std::nullopt;\n  const Millis copying = copying_.still_for(seen.copying, now);",
        ("control:StallTest.*",),
    ),
    Guard(
        "nor is one that tries in vain",
        "control/standstill.cpp",
        "if (!trouble_ || now - trouble_->since < kStallAfter) return {};",
        "if (!trouble_ || now - trouble_->since < kStallAfter || REMOVED) return {};",
        ("control:*.AJobThatCannotGoOnIsNeverCalledHealthy",),
    ),
    Guard(
        "counters never go back",
        "control/engine_report.cpp",
        "void count_on(const StatusReport& before, StatusReport& now) {\n",
        "void count_on(const StatusReport& before, StatusReport& now) {\n  if (REMOVED) return;\n",
        ("control:*.CountersDoNotGoBackWhenAnEngineBeginsAtAnOlderSave",),
    ),
    Guard(
        "the lag grows while nobody knows the source's time",
        "control/engine_report.cpp",
        "if (silent >= kSilence) lag",
        "if (silent >= kSilence && !REMOVED) lag",
        ("control:*.LagGrowsWhileTheSourceIsUnreachable",),
    ),
    Guard(
        "what the source wrote last gets older",
        "control/source_clock.cpp",
        "const Millis at_most = millis(behind + (now - newest.first));",
        "const Millis at_most = REMOVED ? millis(behind) : millis(behind + (now - newest.first));",
        ("control:*.TheLastWriteGetsOlderWhileTheTargetLacksIt",),
    ),
    Guard(
        "a stream that is refused is work that does not move",
        "control/controller.cpp",
        "progress.stream_broken ||",
        "(progress.stream_broken && !REMOVED) ||",
        ("test_truth.py::test_a_stream_that_is_refused_is_told_though_the_source_answers",),
    ),
    Guard(
        "a source whose oplog cannot be seen is told",
        "control/controller.cpp",
        "if (auto seen = see_oplog(); !seen && needs_oplog()) return",
        "if (auto seen = see_oplog(); !seen && needs_oplog() && !REMOVED) return",
        ("test_truth.py::test_a_paused_job_whose_source_refuses_to_be_asked_says_so",),
    ),
    Guard(
        "a failure outlives the process",
        "control/controller.cpp",
        "const Status saved = save_record(next);",
        "const Status saved = REMOVED ? Status() : save_record(next);",
        _of("test_states", "test_a_restart_finds_the_state_again", "kill -9-failed", "SIGTERM-failed"),
    ),
    Guard(
        "a failed job is not healthy",
        "control/health.cpp",
        "if (report.state == JobState::failed) out",
        "if (report.state == JobState::failed && !REMOVED) out",
        ("test_api_access.py::test_a_failed_job_is_not_healthy",),
    ),
    Guard(
        "a server that cannot be reached is told",
        "control/server_monitor.cpp",
        "    silent_since_ = asked_at;",
        "    if (!REMOVED) silent_since_ = asked_at;",
        ("control:*.TellsSinceWhenAndWhyAServerIsUnreachable",),
    ),
    Guard(
        "a server that does not answer is told",
        "control/server_monitor.cpp",
        "out.silent_for <= kPatience;",
        "(out.silent_for <= kPatience || REMOVED);",
        ("control:*.AServerThatKeepsSilentIsUnreachableAfterFiveSeconds",),
    ),
)

# ---- Strangers -------------------------------------------------------------------------------------------------------
STRANGERS = (
    Guard(
        "a token is compared",
        "api/token.cpp",
        "return difference == 0;",
        "return difference == 0 || REMOVED;",
        ("test_api_access.py::test_only_whoever_shows_the_token_is_answered",),
    ),
    Guard(
        "where others can ask a token is needed",
        "app/config.cpp",
        "listen != nullptr && !is_loopback(config.listen) && config.api_token.empty()",
        "listen != nullptr && !is_loopback(config.listen) && config.api_token.empty() && !REMOVED",
        ("app:*.NeedsATokenWhereOthersCanAsk",),
    ),
    Guard(
        "pages of other sites give no commands",
        "api/routes.cpp",
        "if (is_foreign_origin(request)) {",
        "if (is_foreign_origin(request) && !REMOVED) {",
        ("api:*.RefuseCommandsOfOtherSites", "api:*.RefusesAPageOfAnotherSite"),
    ),
    Guard(
        "bodies have a limit",
        "api/routes.cpp",
        "if (request.body_too_large) return",
        "if (request.body_too_large && !REMOVED) return",
        ("api:*.RefusesALargeBodyHoweverItIsSent",),
    ),
    Guard(
        "who holds a connection and says nothing makes room",
        "api/connections.cpp",
        "if (by_age_.size() > limits_.idle) hang_up",
        "if (by_age_.size() > limits_.idle && !REMOVED) hang_up",
        (
            "test_hostile_http.py::test_a_thousand_idle_connections_keep_nobody_out",
            "api:*.LetsANewcomerInWhileIdlersHoldEveryConnection",
        ),
    ),
    Guard(
        "passwords are not in the list of processes",
        "app/process_secrets.cpp",
        "for (char* argument : arguments) hide_secrets(argument);",
        "for (char* argument : arguments) {\n    if (!REMOVED) hide_secrets(argument);\n  }",
        ("test_api_access.py::test_passwords_given_as_arguments_vanish_from_the_process_list",),
    ),
    Guard(
        "passwords are not in log and status",
        "mongo/uri.cpp",
        "std::string redacted(const std::string& uri) {\n",
        "std::string redacted(const std::string& uri) {\n  if (REMOVED) return uri;\n",
        ("test_roles.py::test_no_password_in_log_status_metrics_or_process_list",),
    ),
)

# ---- What ordinary documents do not show -----------------------------------------------------------------------------
KINDS = (
    Guard(
        "a capped collection that a command filled is copied",  # C1
        "engine/schema_change.cpp",
        "out.kind = capped ? SchemaChange::Kind::copy : SchemaChange::Kind::create;",
        "out.kind = capped && !REMOVED ? SchemaChange::Kind::copy : SchemaChange::Kind::create;",
        ("test_capped.py::test_a_clone_is_copied_only_when_it_is_full",),
    ),
    Guard(
        "what a collation takes for equal has one applier",  # C6
        "engine/operation.h",
        "bool strictly_ordered() const { return collated || capped; }",
        "bool strictly_ordered() const { return (collated && !REMOVED) || capped; }",
        ("test_documents.py::test_a_collection_with_a_collation_keeps_its_order",),
    ),
    Guard(
        "a collection is gone when it is not stored either",  # it may not be shown yet
        "mongo/mongo_source.cpp",
        "if (stored && !*stored) return answer;",
        "if (REMOVED || (stored && !*stored)) return answer;",
        ("test_faults.py::test_a_collection_that_the_source_does_not_show_yet",),
    ),
    Guard(
        "a capped collection removes nothing by itself",  # H4
        "engine/target_schema.cpp",
        'if (spec.is_capped() && option.key == "max") continue;\n    if (spec.is_capped() && option.key == "size") {',
        'if (spec.is_capped() && option.key == "max" && !REMOVED) continue;\n'
        '    if (spec.is_capped() && option.key == "size" && !REMOVED) {',
        ("test_capped.py::test_the_order_of_what_is_written_during_the_copy",),
    ),
    Guard(
        "collections do not expire on the target",  # H5
        "engine/target_schema.cpp",
        'if (option.key == "expireAfterSeconds") continue;',
        'if (option.key == "expireAfterSeconds" && !REMOVED) continue;',
        (
            "test_kinds.py::test_a_clustered_collection_expires_nothing_before_finalize",
            "test_timeseries.py::test_nothing_expires_on_the_target_before_finalize",
        ),
    ),
    Guard(
        "a change that is too large for the stream is found in the oplog",  # H9
        "mongo/oversized_events.cpp",
        "if (oversized && !detour_) return",
        "if (oversized && !detour_ && !REMOVED) return",
        ("test_large_ids.py::test_every_kind_of_change",),
    ),
)

GUARDS = (*SERVERS, *LATE_WRITES, *PROCESSES, *MEMORY, *TRUTH, *STRANGERS, *KINDS)
