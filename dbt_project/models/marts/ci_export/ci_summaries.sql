{{
    config(
        materialized='incremental',
        unique_key='conversation_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook="{{ delete_superseded() }}"
    )
}}
{%- set landed_from = landed_from() %}
with

conversations as (
    select *
    from {{ ref('ci_conversations') }}
    where landed_at >= {{ landed_from }}
),

summaries as (
    select *
    from {{ ref('stg_ci__summaries') }}
    where landed_at >= {{ landed_from }}
),

joined as (
    select
        conversations.conversation_id,
        conversations.conversation_version_id,
        conversations.payload_sha256,
        summaries.text as summary,
        summaries.situation,
        summaries.action,
        summaries.resolution,
        summaries.answer_record,
        summaries.conversation_model,
        summaries.confidence,
        conversations.batch_date,
        conversations.landed_at,
        summaries.text_sections
    from conversations
    inner join summaries
        on
            conversations.conversation_id = summaries.conversation_id
            and conversations.payload_sha256 = summaries.payload_sha256
            and conversations.landed_at = summaries.landed_at
    {{ latest_by('conversations.conversation_id', 'summaries.text') }}
)

select * from joined
