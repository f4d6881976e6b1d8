{{
    config(
        materialized='incremental',
        unique_key='ci_state_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['days_of_source:batch_date', 'first_landing'],
        post_hook="{{ delete_forgotten(of_facts=true) }}"
    )
}}
{# A landed state never changes, so only what landed since the watermark is read, and its JSON is opened
   once. A state landed twice keeps its first landing. #}
{%- set landed_from = landed_from() %}
with

turns as (
    select
        conversation_id,
        payload_sha256,
        turn_index,
        max(greatest(1, cast(ceil(char_length(text) / 1000) as int64))) as billed_turn_count
    from {{ ref('stg_ci__turns') }}
    where landed_at >= {{ landed_from }}{{ landed_until() }}
    group by conversation_id, payload_sha256, turn_index
),

billed as (
    select
        conversation_id,
        payload_sha256,
        sum(billed_turn_count) as billed_turn_count
    from turns
    group by conversation_id, payload_sha256
),

landed as (
    select
        conversations.*,
        billed.billed_turn_count,
        if(
            summaries.payload_sha256 is null,
            null,
            struct(
                summaries.text as text,
                summaries.answer_record as answer_record,
                summaries.conversation_model as conversation_model,
                summaries.confidence as confidence,
                summaries.text_sections as text_sections
            )
        ) as summary,
        coalesce(array_length(scores.qa_results), 0) as score_count,
        coalesce(scores.has_topics, false) as has_topics,
        scores.qa_results,
        scores.topics
    from {{ ref('stg_ci__conversations') }} as conversations
    left join {{ ref('stg_ci__summaries') }} as summaries
        on
            conversations.conversation_id = summaries.conversation_id
            and conversations.payload_sha256 = summaries.payload_sha256
            and conversations.landed_at = summaries.landed_at
            and summaries.landed_at >= {{ landed_from }}{{ landed_until('summaries.') }}
    left join {{ ref('stg_ci__scores') }} as scores
        on
            conversations.conversation_id = scores.conversation_id
            and conversations.payload_sha256 = scores.payload_sha256
            and conversations.landed_at = scores.landed_at
            and scores.landed_at >= {{ landed_from }}{{ landed_until('scores.') }}
    left join billed
        on
            conversations.conversation_id = billed.conversation_id
            and conversations.payload_sha256 = billed.payload_sha256
    where conversations.landed_at >= {{ landed_from }}{{ landed_until('conversations.') }}
),

known as (
    select
        {{ surrogate_key(['landed.conversation_id', 'landed.metadata_sha256', 'landed.transcript_sha256']) }}
            as conversation_version_id,
        landed.*
    from landed
    left join {{ ref('int_conversations_forgotten') }} as forgotten
        on
            landed.conversation_id = forgotten.conversation_id
            and landed.landed_at <= forgotten.forgotten_at
    where forgotten.conversation_id is null
),

first_landed as (
    select *
    from known
    {{ latest_by('ci_state_id', 'landed_at, run_id') }}
)

select * from first_landed
