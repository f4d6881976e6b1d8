{# How far each version has come, by evidence. A version whose analysis has landed never falls back, save
   that content which returns after another version begins anew (see int_version_evidence). #}
{% macro version_progress(within='true') %}
{%- set columns = [
    'conversation_version_id', 'conversation_id', 'metadata_sha256', 'transcript_sha256', 'is_current', 'batch_date',
    'first_seen_at', 'valid_from', 'valid_to', 'landed_at'
] %}
with

delivered_versions as (
    select *
    from {{ ref('int_conversation_versions') }}
    where {{ within }}
),

found_versions as (
    {{ rows_of(ref('int_found_versions'), found_versions, within) }}
),

evidence as (
    {{ rows_of(ref('int_version_evidence'), version_evidence, within) }}
),

steps as (
    select *
    from {{ ref('int_version_steps') }}
    where {{ within }}
),

metadata_files as (
    select *
    from ({{ rows_of(ref('int_version_files'), version_files, within) }}) as files
    where files.kind = 'metadata'
),

found_counts as (
    select
        conversation_id,
        count(*) as found_count
    from found_versions
    group by conversation_id
),

registered as (
    select
        delivered.{{ columns | join(', delivered.') }},
        delivered.version_number + coalesce(found_counts.found_count, 0) as version_number,
        'delivered' as origin
    from delivered_versions as delivered
    left join found_counts
        on delivered.conversation_id = found_counts.conversation_id
    union all
    select
        {{ columns | join(', ') }},
        version_number,
        'found_in_insights' as origin
    from found_versions
),

versions as (
    select
        versions.*,
        steps.last_failed_step,
        steps.last_error_code,
        steps.last_error_message,
        steps.upload_latency_sec,
        steps.submit_latency_sec,
        steps.analyse_latency_sec,
        steps.land_latency_sec,
        steps.last_event_at,
        evidence.ci_conversation_name,
        evidence.ci_analysis_id,
        evidence.submitted_at,
        evidence.analysed_at,
        coalesce(steps.failure_count, 0) as failure_count,
        coalesce(steps.upload_attempt_count, 0) as upload_attempt_count,
        coalesce(steps.submit_attempt_count, 0) as submit_attempt_count,
        coalesce(steps.analyse_attempt_count, 0) as analyse_attempt_count,
        coalesce(steps.is_last_failed, false) as is_last_failed,
        media.medium is not null and coalesce(media.insights_medium, '') = '' as stays_here,
        greatest(
            versions.landed_at,
            coalesce(steps.landed_at, versions.landed_at),
            coalesce(evidence.landed_at, versions.landed_at)
        ) as newest_landed_at
    from registered as versions
    left join steps
        on versions.conversation_version_id = steps.conversation_version_id
    left join evidence
        on versions.conversation_version_id = evidence.conversation_version_id
    left join metadata_files
        on
            versions.conversation_id = metadata_files.conversation_id
            and versions.metadata_sha256 = metadata_files.content_sha256
    left join {{ ref('media') }} as media
        on metadata_files.medium = media.medium
),

judged as (
    select
        *,
        case
            when analysed_at is not null then 'analysed'
            when is_last_failed then 'failed'
            when submitted_at is not null then 'submitted'
            when transcript_sha256 is null then 'waiting_for_transcript'
            when metadata_sha256 is null then 'waiting_for_metadata'
            else 'registered'
        end as status
    from versions
),

explained as (
    select
        * except (landed_at, newest_landed_at, is_last_failed, stays_here),
        case status
            when 'analysed' then cast(null as string)
            when 'failed' then concat(last_failed_step, ': ', coalesce(last_error_code, 'unknown'))
            when 'submitted' then 'not_analysed_yet'
            when 'registered' then if(stays_here, 'not_for_insights', 'not_submitted_yet')
            else status
        end as open_reason,
        newest_landed_at as landed_at
    from judged
)

select * from explained
{% endmacro %}
