{{
    config(
        materialized='incremental',
        unique_key='analysis_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        pre_hook="{{ keep_charges() }}",
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# A new analysis changes what the older ones are (superseded), and an event that lands late says why an
   analysis was made, so all of such a conversation are read again. What Insights said of an analysis counts before
   what its export says. #}
{%- set landed_from = landed_from() %}
{%- set within = in_days(landed_from) %}
{%- set events_within = within | replace('batch_date', 'kept_date') %}
with

changed as (
    {{ changed_conversations([ref('int_ci_states')], landed_from, within) }}
    union distinct
    {{ changed_conversations([ref('int_pipeline_events')], landed_from, events_within) }}
),

states as (
    {{ rows_of(ref('int_ci_state_versions'), ci_state_versions, within) }}
),

conversations as (
    select *
    from {{ ref('ci_conversations') }}
    where {{ within }}
),

analyses as (
    select states.*
    from states
    inner join changed
        on states.conversation_id = changed.conversation_id
    where states.analysis_id is not null
    {{ latest_by('states.analysis_id', 'states.annotator_profile_sha256 is null, states.state_number desc') }}
),

reasons as (
    select
        regexp_extract(events.resource_name, r'([^/]+)$') as analysis_id,
        min(events.reason) as reason
    from {{ ref('int_pipeline_events') }} as events
    inner join changed
        on events.conversation_id = changed.conversation_id
    where
        events.step = 'analyse'
        and events.reason is not null
        and {{ events_within | replace('kept_date', 'events.kept_date') }}
    group by regexp_extract(events.resource_name, r'([^/]+)$')
),

ordered as (
    select
        analyses.*,
        lag(transcript_sha256) over in_order as previous_transcript_sha256,
        lag(annotator_profile_sha256) over in_order as previous_profile_sha256,
        lag(analysis_id) over in_order as previous_analysis_id,
        lead(analysis_id) over in_order as superseded_by,
        row_number() over in_order as analysis_number
    from analyses
    window in_order as (partition by conversation_id order by analysed_at, analysis_id)
),

explained as (
    select
        ordered.analysis_id,
        ordered.conversation_id,
        ordered.conversation_version_id,
        {{ surrogate_key(['ordered.conversation_id', 'ordered.transcript_sha256']) }} as transcript_version_id,
        ordered.previous_analysis_id,
        ordered.superseded_by,
        ordered.annotator_profile_sha256,
        case
            when reasons.reason is not null then reasons.reason
            when ordered.analysis_number = 1 then 'first_analysis'
            when ordered.transcript_sha256 != ordered.previous_transcript_sha256 then 'transcript_changed'
            when ordered.annotator_profile_sha256 != ordered.previous_profile_sha256 then 'profile_changed'
            else 'repeated'
        end as reason,
        ordered.analysis_number,
        cast(ceil(ordered.billed_turn_count / 120) as int64) as billing_unit_count,
        coalesce(ordered.score_count, 0) as score_count,
        coalesce(ordered.has_topics, false) as has_topics,
        ordered.customer_sentiment_score,
        ordered.customer_sentiment_magnitude,
        timestamp_diff(ordered.analysed_at, ordered.analysis_requested_at, millisecond) / 1000 as latency_sec,
        coalesce(ordered.analysis_id = conversations.analysis_id, false) as is_current,
        ordered.batch_date,
        ordered.analysis_requested_at,
        ordered.analysed_at,
        ordered.landed_at
    from ordered
    left join reasons
        on ordered.analysis_id = reasons.analysis_id
    left join conversations
        on ordered.conversation_id = conversations.conversation_id
)

select * from explained
