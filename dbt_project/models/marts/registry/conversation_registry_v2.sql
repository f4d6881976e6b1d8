{{
    config(
        alias='conversation_registry',
        materialized='incremental',
        unique_key='conversation_version_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# A change to any fact of a conversation brings all its versions back, so that version_number, is_current and
   valid_to of the older ones are corrected by the same merge. What Insights holds and nobody delivered is told as
   Insights has it. #}
{%- set landed_from = landed_from() %}
{%- set within = in_days(landed_from) %}
with

changed as (
    {%- set facts = [ref('int_conversation_versions'), ref('int_version_steps'), ref('int_ci_states')] %}
    {{ changed_conversations(facts, landed_from, within) }}
),

all_versions as (
    {{ rows_of(ref('int_version_progress'), version_progress, within) }}
),

files as (
    {{ rows_of(ref('int_version_files'), version_files, within) }}
),

found as (
    {{ rows_of(ref('int_found_versions'), found_versions, within) }}
),

versions as (
    select all_versions.*
    from all_versions
    inner join changed
        on all_versions.conversation_id = changed.conversation_id
),

registered as (
    select
        versions.conversation_version_id,
        versions.conversation_id,
        if(
            versions.origin = 'delivered' and versions.transcript_sha256 is null,
            null,
            {{ surrogate_key(['versions.conversation_id', 'versions.transcript_sha256']) }}
        ) as transcript_version_id,
        versions.metadata_sha256,
        versions.transcript_sha256,
        metadata_files.uri as metadata_uri,
        coalesce(transcript_files.uri, found.transcript_uri) as transcript_uri,
        coalesce(metadata_files.schema_version, transcript_files.schema_version) as schema_version,
        versions.origin,
        coalesce(metadata_files.direction, found.direction) as direction,
        coalesce(metadata_files.business_line, found.business_line) as business_line,
        coalesce(metadata_files.medium, found.medium) as medium,
        coalesce(metadata_files.language_code, found.language_code) as language_code,
        coalesce(metadata_files.queue, found.queue) as queue,
        coalesce(metadata_files.agent_id, found.agent_id) as agent_id,
        coalesce(metadata_files.agent_name, found.agent_name) as agent_name,
        coalesce(metadata_files.agent_team, found.agent_team) as agent_team,
        coalesce(metadata_files.agent_site, found.agent_site) as agent_site,
        coalesce(metadata_files.portfolio_id, found.portfolio_id) as portfolio_id,
        coalesce(metadata_files.campaign_id, found.campaign_id) as campaign_id,
        coalesce(metadata_files.call_outcome, found.call_outcome) as call_outcome,
        metadata_files.call_reason,
        versions.status,
        versions.open_reason,
        versions.last_failed_step,
        versions.last_error_code,
        versions.last_error_message,
        versions.ci_conversation_name,
        versions.ci_analysis_id,
        versions.version_number,
        coalesce(metadata_files.duration_sec, found.duration_sec) as duration_sec,
        coalesce(transcript_files.turn_count, found.turn_count) as turn_count,
        versions.failure_count,
        versions.upload_attempt_count,
        versions.submit_attempt_count,
        versions.analyse_attempt_count,
        versions.upload_latency_sec,
        versions.submit_latency_sec,
        versions.analyse_latency_sec,
        versions.land_latency_sec,
        versions.is_current,
        versions.batch_date,
        coalesce(metadata_files.started_at, found.started_at) as started_at,
        metadata_files.ended_at,
        versions.first_seen_at,
        versions.submitted_at,
        versions.analysed_at,
        versions.last_event_at,
        versions.valid_from,
        versions.valid_to,
        versions.landed_at
    from versions
    left join files as metadata_files
        on
            versions.conversation_id = metadata_files.conversation_id
            and versions.metadata_sha256 = metadata_files.content_sha256
            and metadata_files.kind = 'metadata'
    left join files as transcript_files
        on
            versions.conversation_id = transcript_files.conversation_id
            and versions.transcript_sha256 = transcript_files.content_sha256
            and transcript_files.kind = 'transcription'
    left join found
        on versions.conversation_version_id = found.conversation_version_id
)

select * from registered
