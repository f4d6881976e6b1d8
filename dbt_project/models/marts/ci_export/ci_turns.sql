{{
    config(
        materialized='incremental',
        unique_key='turn_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['own_days'],
        post_hook=["{{ delete_superseded() }}", "{{ delete_forgotten_states() }}"]
    )
}}
{# Only states that landed since the watermark are opened: an older current state has its rows already.
   A turn with several sentiments has that of its first words. #}
{%- set landed_from = landed_from() %}
with

conversations as (
    select *
    from {{ ref('ci_conversations') }}
    where landed_at >= {{ landed_from }} and {{ in_days(landed_from) }}
),

turns as (
    select *
    from {{ ref('stg_ci__turns') }}
    where landed_at >= {{ landed_from }}{{ landed_until() }}
),

sentiments as (
    select
        conversation_id,
        payload_sha256,
        turn_index,
        array_agg(sentiment_score order by start_word_index, sentiment_score, sentiment_magnitude)[offset(0)]
            as sentiment_score,
        array_agg(sentiment_magnitude order by start_word_index, sentiment_score, sentiment_magnitude)[offset(0)]
            as sentiment_magnitude
    from {{ ref('stg_ci__annotations') }}
    where landed_at >= {{ landed_from }}{{ landed_until() }} and annotation_type = 'sentiment'
    group by conversation_id, payload_sha256, turn_index
),

joined as (
    select
        {{ surrogate_key(['conversations.conversation_id', 'turns.turn_index']) }} as turn_id,
        conversations.conversation_id,
        conversations.conversation_version_id,
        conversations.analysis_id,
        conversations.payload_sha256,
        case turns.participant_role
            when 'HUMAN_AGENT' then 'AGENT'
            when 'ANY_AGENT' then 'AGENT'
            when 'AUTOMATED_AGENT' then 'AUTOMATED_AGENT'
            when 'END_USER' then 'CUSTOMER'
        end as speaker,
        turns.participant_role,
        turns.participant_id,
        turns.text,
        turns.language_code,
        turns.turn_index,
        turns.channel_tag,
        turns.word_count,
        timestamp_diff(turns.message_at, turns.started_at, microsecond) / 1000000 as start_offset_sec,
        sentiments.sentiment_score as customer_sentiment_score,
        sentiments.sentiment_magnitude as customer_sentiment_magnitude,
        conversations.batch_date,
        turns.message_at,
        conversations.landed_at
    from conversations
    inner join turns
        on
            conversations.conversation_id = turns.conversation_id
            and conversations.payload_sha256 = turns.payload_sha256
            and conversations.landed_at = turns.landed_at
    left join sentiments
        on
            turns.conversation_id = sentiments.conversation_id
            and turns.payload_sha256 = sentiments.payload_sha256
            and turns.turn_index = sentiments.turn_index
    {{ latest_by('turn_id', 'turns.message_at') }}
)

select * from joined
