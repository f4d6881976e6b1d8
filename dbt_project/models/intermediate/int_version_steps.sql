{{
    config(
        materialized='incremental',
        unique_key='conversation_version_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['own_days', 'whole_conversations'],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# The latest event of a version decides whether it stands as failed; ties are broken by event_id. #}
{%- set landed_from = landed_from() %}
{%- set within = in_days(landed_from, 'kept_date') %}
{%- set changed = changed_conversations([ref('int_pipeline_events')], landed_from, within) %}
with

changed as (
    {{ changed }}
),

events as (
    select
        pipeline.*,
        concat(format_timestamp('%F %H:%M:%E6S', pipeline.ended_at), pipeline.event_id) as event_order
    from {{ ref('int_pipeline_events') }} as pipeline
    inner join changed
        on pipeline.conversation_id = changed.conversation_id
    where
        pipeline.step not in ('validate', 'forget')
        and {{ within | replace('kept_date', 'pipeline.kept_date') }}
),

steps as (
    select
        conversation_version_id,
        conversation_id,
        max_by(coalesce(error_code, 'UNKNOWN'), if(outcome = 'failed', event_order, null)) as last_error_code,
        max_by(coalesce(error_message, ''), if(outcome = 'failed', event_order, null)) as last_error_message,
        max_by(step, if(outcome = 'failed', event_order, null)) as last_failed_step,
        countif(outcome = 'failed') as failure_count,
        countif(step = 'upload' and outcome != 'waiting') as upload_attempt_count,
        countif(step = 'submit' and outcome != 'waiting') as submit_attempt_count,
        countif(step = 'analyse' and outcome != 'waiting') as analyse_attempt_count,
        max_by(latency_sec, if(step = 'upload' and outcome = 'succeeded', event_order, null)) as upload_latency_sec,
        max_by(latency_sec, if(step = 'submit' and outcome = 'succeeded', event_order, null)) as submit_latency_sec,
        max_by(latency_sec, if(step = 'analyse' and outcome = 'succeeded', event_order, null)) as analyse_latency_sec,
        max_by(latency_sec, if(step = 'land' and outcome = 'succeeded', event_order, null)) as land_latency_sec,
        max_by(outcome, event_order) = 'failed' as is_last_failed,
        max(batch_date) as batch_date,
        max(ended_at) as last_event_at,
        max(landed_at) as landed_at
    from events
    group by conversation_version_id, conversation_id
)

select * from steps
