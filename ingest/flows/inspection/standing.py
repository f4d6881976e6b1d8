"""Where each conversation stands, as SQL over the raw facts.

The rule is that of dbt's `int_version_progress`, on the newest files of a conversation: an
analysis of them that has landed settles it; else a latest step that failed; else what CI holds;
else which files are there.
"""

from __future__ import annotations

from ingest.warehouse import ANY_PARTITION, Warehouse

STATUSES = (
    "waiting_for_transcript",
    "waiting_for_metadata",
    "registered",
    "submitted",
    "failed",
    "analysed",
    "forgotten",
)
WHERE_ONE = "and conversation_id = @conversation_id"


def judged_sql(warehouse: Warehouse, restriction: str = "") -> str:
    """Return a WITH clause of `events`, as they landed, up to `judged`: one row a conversation.

    Columns of `judged`: conversation_id, batch_date, status, metadata_sha256, transcript_sha256,
    failed_step, error_code, since (when its latest fact came). `restriction` is added to every raw
    WHERE.

    All facts go through one GROUP BY: an emulator needs longer for each further join than for
    reading the tables.
    """
    where = f"where {ANY_PARTITION} {restriction}"
    return f"""
with
events as (
    select
        conversation_id, batch_date, step, outcome, error_code, metadata_sha256,
        transcript_sha256, started_at, ended_at, _run_id
    from {warehouse.raw("pipeline_events")} {where}
),
facts as (
    select
        conversation_id, batch_date, kind as step, 'landed' as outcome, content_sha256 as code,
        cast(null as string) as version, generation,
        cast(null as timestamp) as event_at, _landed_at as known_at
    from {warehouse.raw("conversation_files")} {where}
    union all
    select
        conversation_id, null, if(analysis_name is null, 'state', 'analysis'), 'landed', null,
        concat(metadata_sha256, transcript_sha256), null, null, _landed_at
    from {warehouse.raw("ci_conversations")} {where}
    union all
    select
        conversation_id, batch_date, step, outcome, error_code,
        concat(metadata_sha256, transcript_sha256), null, ended_at, ended_at
    from events
),
conversations as (
    select
        conversation_id,
        coalesce(max_by(batch_date, generation), max(batch_date)) as batch_date,
        max_by(code, if(step = 'metadata', generation, null)) as metadata_sha256,
        max_by(code, if(step = 'transcription', generation, null)) as transcript_sha256,
        string_agg(if(step = 'analysis', version, null)) as analysed_versions,
        string_agg(
            if(step in ('state', 'submit') and outcome not in ('failed', 'waiting'), version, null)
        ) as submitted_versions,
        max_by(outcome, event_at) as outcome,
        max_by(step, event_at) as step,
        max_by(code, event_at) as code,
        max(known_at) as since
    from facts
    group by conversation_id
),
judged as (
    select
        * except (analysed_versions, submitted_versions, outcome, step, code),
        case
            when step = 'forget' then 'forgotten'
            when strpos(analysed_versions, concat(metadata_sha256, transcript_sha256)) > 0
                then 'analysed'
            when outcome = 'failed' then 'failed'
            when strpos(submitted_versions, concat(metadata_sha256, transcript_sha256)) > 0
                then 'submitted'
            when transcript_sha256 is null and metadata_sha256 is null then 'registered'
            when transcript_sha256 is null then 'waiting_for_transcript'
            when metadata_sha256 is null then 'waiting_for_metadata'
            else 'registered'
        end as status,
        if(outcome = 'failed', step, null) as failed_step,
        if(outcome = 'failed', code, null) as error_code
    from conversations
)"""
