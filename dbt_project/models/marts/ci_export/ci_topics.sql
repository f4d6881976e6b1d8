{{
    config(
        materialized='incremental',
        unique_key='conversation_topic_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook=["{{ delete_superseded() }}", "{{ delete_forgotten_states() }}"]
    )
}}
{# Few conversations may have topics, so the watermark may be old: typed states are read, no payloads. #}
{%- set landed_from = landed_from() %}
{%- set within = in_days(landed_from) %}
with

conversations as (
    select *
    from {{ ref('ci_conversations') }}
    where landed_at >= {{ landed_from }} and {{ within }}
),

topics as (
    select
        {{ surrogate_key(['conversations.conversation_id', 'place']) }} as conversation_topic_id,
        conversations.conversation_id,
        conversations.conversation_version_id,
        conversations.analysis_id,
        conversations.payload_sha256,
        regexp_extract(topic.issue_model_name, r'([^/]+)$') as issue_model_id,
        regexp_extract(topic.issue_name, r'([^/]+)$') as issue_id,
        topic.topic,
        topic.score,
        conversations.batch_date,
        conversations.landed_at
    from conversations
    inner join {{ ref('int_ci_states') }} as states
        on
            conversations.conversation_id = states.conversation_id
            and conversations.payload_sha256 = states.payload_sha256
    cross join unnest(states.topics) as topic with offset as place
    where {{ within | replace('batch_date', 'states.batch_date') }}
)

select * from topics
