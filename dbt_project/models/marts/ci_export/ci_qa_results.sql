{{
    config(
        materialized='incremental',
        unique_key='qa_result_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook=["{{ delete_superseded() }}", "{{ delete_forgotten_states() }}"]
    )
}}
{# Few conversations may have scores, so the watermark may be old: typed states are read, no payloads. #}
{%- set landed_from = landed_from() %}
{%- set within = in_days(landed_from) %}
with

conversations as (
    select *
    from {{ ref('ci_conversations') }}
    where landed_at >= {{ landed_from }} and {{ within }}
),

results as (
    select
        {{ surrogate_key(['conversations.conversation_id', 'place']) }} as qa_result_id,
        conversations.conversation_id,
        conversations.conversation_version_id,
        conversations.analysis_id,
        conversations.payload_sha256,
        result.name as qa_result_name,
        regexp_extract(result.revision_name, r'/qaScorecards/([^/]+)') as scorecard_id,
        regexp_extract(result.revision_name, r'/revisions/([^/]+)$') as revision_id,
        result.revision_name,
        conversations.agent_id,
        result.score,
        result.potential_score,
        result.normalized_score,
        conversations.batch_date,
        result.scored_at,
        conversations.landed_at,
        result.tag_results,
        result.score_sources,
        result.answers
    from conversations
    inner join {{ ref('int_ci_states') }} as states
        on
            conversations.conversation_id = states.conversation_id
            and conversations.payload_sha256 = states.payload_sha256
    cross join unnest(states.qa_results) as result with offset as place
    where {{ within | replace('batch_date', 'states.batch_date') }}
)

select * from results
