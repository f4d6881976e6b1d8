"""How each law of tests/data_tests is broken: the law, the table that changes, and the change."""

from __future__ import annotations

LATER_EVENT = """
insert into coach_raw.pipeline_events
select * replace (
    'later' as event_id, 'submit' as step, 'failed' as outcome,
    timestamp '2026-02-01 00:00:00+00' as ended_at, current_timestamp() as _landed_at
)
from coach_raw.pipeline_events
where
    conversation_id = 'c-back' and _run_id = 'run-2'
    and _landed_at >= timestamp '2020-01-01 00:00:00+00'
"""
FORGETTING_AFTER_IT = """
insert into laws_staging.int_conversations_forgotten
select 'c-back' as conversation_id, timestamp '2026-03-01 00:00:00+00' as forgotten_at
"""
SECOND_FORGOTTEN = """
insert into laws.ci_summaries
select * replace ('c-forget' as conversation_id)
from laws.ci_summaries
where conversation_id = 'c-plain'
"""
FORGOTTEN_EVENT = """
insert into laws_staging.int_pipeline_events
select * replace ('c-forget' as conversation_id)
from laws_staging.int_pipeline_events
where conversation_id = 'c-plain'
"""
FORGOTTEN_EVENT_AGAIN = """
insert into laws_staging.int_pipeline_events
select * replace ('c-forget' as conversation_id, timestamp '2026-02-01 00:00:00+00' as landed_at)
from laws_staging.int_pipeline_events
where conversation_id = 'c-plain'
"""
FINDINGS_WITHOUT_HITS = """
set phrase_match_count = 0,
    turn_annotations = (
        select array_agg(annotation)
        from unnest(turn_annotations) as annotation
        where annotation.annotation_type != 'phrase_match'
    )
where conversation_id = 'c-plain'
""".strip()
UNREAD_FILE = """
insert into coach_raw.conversation_files
select * replace (
    999999 as generation, timestamp_sub(current_timestamp(), interval 2 hour) as _landed_at
)
from coach_raw.conversation_files
where
    conversation_id = 'c-plain' and kind = 'metadata'
    and _landed_at >= timestamp '2020-01-01 00:00:00+00'
"""
MANY_QUARANTINED = """
insert into laws.quarantined_conversations (conversation_id, rule)
select 'c-plain' as conversation_id, 'labels_differ' as rule
from unnest(generate_array(1, 25)) as number
"""
CHANGED_LABELS = """
set labels = (
    select array_agg(struct({} as key, {} as value))
    from unnest(labels) as label
    where {}
)
where conversation_id = 'c-plain'
""".strip()
BREACHES = {
    "a custom field of no version": (
        "custom_fields_are_kept",
        "laws_staging.int_custom_fields",
        "set metadata_sha256 = 'stray' where conversation_id = 'c-plain'",
    ),
    "a turn that was lost": (
        "every_turn_is_counted",
        "laws_staging.int_transcript_dynamics",
        "set turn_count = turn_count - 1 where conversation_id = 'c-plain'",
    ),
    "an analysis of words that no version has": (
        "analyses_belong_to_their_versions",
        "laws.ci_analyses",
        "set transcript_version_id = 'stray' where analysis_id = '101'",
    ),
    "a raw row that no build has read": (
        "landed_rows_are_in_their_tables",
        "coach_raw.conversation_files",
        UNREAD_FILE,
    ),
    "many odd conversations": (
        "quarantine_is_rare",
        "laws.quarantined_conversations",
        MANY_QUARANTINED,
    ),
    "a conversation that isn't registered": (
        "analysed_conversations_are_registered",
        "laws.ci_conversations",
        "set conversation_version_id = 'stray' where conversation_id = 'c-plain'",
    ),
    "a conversation of another day": (
        "export_totals_equal_the_registry",
        "laws.ci_conversations",
        "set batch_date = date '2020-01-01' where conversation_id = 'c-plain'",
    ),
    "an analysis of another day": (
        "export_totals_equal_the_registry",
        "laws.ci_analyses",
        "set batch_date = date '2020-01-01' where conversation_id = 'c-plain'",
    ),
    "turns of another day": (
        "export_totals_equal_the_registry",
        "laws.ci_turns",
        "set batch_date = date '2020-01-01' where conversation_id = 'c-plain'",
    ),
    "highlights that are lost": (
        "findings_equal_the_annotations",
        "laws.ci_highlights",
        "delete from laws.ci_highlights where true",
    ),
    "entities that are lost": (
        "findings_equal_the_annotations",
        "laws.ci_entities",
        "delete from laws.ci_entities where conversation_id = 'c-plain'",
    ),
    "mentions that Insights didn't make": (
        "findings_equal_the_annotations",
        "laws.ci_entities",
        "set mention_count = mention_count + 1 where conversation_id = 'c-plain'",
    ),
    "a summary of someone forgotten": (
        "forgotten_conversations_are_gone",
        "laws.ci_summaries",
        SECOND_FORGOTTEN,
    ),
    "an event of someone forgotten": (
        "forgotten_conversations_are_gone",
        "laws_staging.int_pipeline_events",
        FORGOTTEN_EVENT,
    ),
    "an event of someone forgotten that landed again": (
        "forgotten_conversations_are_gone",
        "laws_staging.int_pipeline_events",
        FORGOTTEN_EVENT_AGAIN,
    ),
    "a phrase that is lost": (
        "hits_without_a_phrase_are_explained",
        "laws.ci_phrase_matches",
        "set phrase = null, start_char = null, end_char = null where conversation_id = 'c-plain'",
    ),
    "a label of another file format": (
        "labels_equal_metadata",
        "laws.conversation_registry",
        "set schema_version = '0.9' where conversation_id = 'c-plain'",
    ),
    "a label that metadata doesn't give": (
        "labels_equal_metadata",
        "laws.conversation_registry",
        "set schema_version = null where conversation_id = 'c-plain'",
    ),
    "a label of the user's that Insights lost": (
        "labels_equal_metadata",
        "laws.ci_conversations",
        CHANGED_LABELS.format("label.key", "label.value", "label.key != 'priority'"),
    ),
    "a label of the user's with another value": (
        "labels_equal_metadata",
        "laws_staging.int_conversation_files",
        CHANGED_LABELS.format("label.key", "concat(label.value, 'x')", "true"),
    ),
    "a label of a name that the pipeline doesn't know": (
        "labels_equal_metadata",
        "laws.ci_conversations",
        "set labels = array_concat(labels, [struct('zone' as key, 'x' as value)]) "
        "where conversation_id = 'c-plain'",
    ),
    "another language": (
        "labels_equal_metadata",
        "laws.ci_conversations",
        "set language_code = 'en-US' where conversation_id = 'c-plain'",
    ),
    "an agent of another name": (
        "labels_equal_metadata",
        "laws.ci_conversations",
        "set agent_name = 'Someone Else' where conversation_id = 'c-plain'",
    ),
    "another portfolio": (
        "labels_equal_metadata",
        "laws.ci_conversations",
        "set portfolio_id = 'other' where conversation_id = 'c-plain'",
    ),
    "a customer turn without sentiment": (
        "neutral_is_not_missing",
        "laws.ci_turns",
        "set customer_sentiment_score = null where conversation_id = 'c-plain' and turn_index = 1",
    ),
    "a sentiment of a turn that isn't there": (
        "neutral_is_not_missing",
        "laws_staging.int_analysis_findings",
        "set sentiment_turn_count = sentiment_turn_count + 1 where conversation_id = 'c-plain'",
    ),
    "two current analyses": (
        "one_current_analysis_per_analysed_conversation",
        "laws.ci_analyses",
        "set is_current = true where analysis_id = '101'",
    ),
    "two current versions": (
        "one_current_version_per_conversation",
        "laws.conversation_registry",
        "set is_current = true, valid_to = null where status = 'waiting_for_metadata'",
    ),
    "an analysed version that is open": (
        "open_versions_say_why",
        "laws.conversation_registry",
        "set open_reason = 'not_analysed_yet' where conversation_id = 'c-plain'",
    ),
    "a match on another turn": (
        "phrase_matches_agree_with_ci",
        "laws.ci_phrase_matches",
        "set turn_index = 3 where conversation_id = 'c-plain' and turn_index = 2",
    ),
    "a quote that nobody said": (
        "coaching_quotes_stand_at_their_spans",
        "laws.coaching_checks",
        "set turn_index = 0, start_char = 0, end_char = 1, quote = '~'"
        " where conversation_id = 'c-plain'",
    ),
    "a policy that isn't in force": (
        "coaching_policies_fit_the_date",
        "laws.coaching_checks",
        "set policy_version = 99 where conversation_id = 'c-plain'",
    ),
    "a shifted span": (
        "phrases_stand_in_the_text",
        "laws.ci_phrase_matches",
        "set start_char = start_char + 1 where conversation_id = 'c-plain'",
    ),
    "an analysed version that fell back": (
        "status_never_moves_backwards",
        "laws.conversation_registry",
        "set status = 'submitted' where conversation_id = 'c-edit' and not is_current",
    ),
    "a failure that no event tells of": (
        "status_never_moves_backwards",
        "laws.conversation_registry",
        "set status = 'failed' where status = 'waiting_for_metadata'",
    ),
    "an event that the registry doesn't know of": (
        "status_never_moves_backwards",
        "coach_raw.pipeline_events",
        LATER_EVENT,
    ),
    "a turn that is missing": (
        "turns_are_numbered_from_zero",
        "laws.ci_turns",
        "set turn_index = 4 where conversation_id = 'c-plain' and turn_index = 3",
    ),
    "a turn that is there twice, and one that is missing": (
        "turns_are_numbered_from_zero",
        "laws.ci_turns",
        "set turn_index = 1 where conversation_id = 'c-plain' and turn_index = 2",
    ),
    "a turn of the transcript that Insights doesn't count": (
        "turns_are_numbered_from_zero",
        "laws.conversation_registry",
        "set turn_count = turn_count + 1 where conversation_id = 'c-return' and not is_current",
    ),
    "a gap in the versions": (
        "versions_are_numbered_without_gap",
        "laws.conversation_registry",
        "set version_number = 3 where conversation_id = 'c-late' and is_current",
    ),
    "a version that ends before it began": (
        "versions_follow_one_another",
        "laws.conversation_registry",
        "set valid_to = timestamp_sub(valid_from, interval 1 day) where not is_current",
    ),
}
