{{
    config(
        materialized='incremental',
        unique_key='conversation_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['own_days'],
        post_hook=["{{ delete_superseded() }}", "{{ delete_forgotten_states() }}"]
    )
}}
{# What coaching asks of the turns, so that whoever judges all conversations needn't read all words: who spoke when, and
   the customer's turns at which the mood fell most, was lowest or was highest. A fall is one of 0.75 to -0.75 or below;
   it is recovered where the customer's next turn isn't below -0.25. #}
{%- set landed_from = landed_from() %}
{%- set score = 'customer_sentiment_score' %}
with

turns as (
    select
        *,
        if(
            {{ score }} <= -0.75,
            {{ micros('lag(' ~ score ~ ') over by_turn') }} - {{ micros(score) }},
            null
        ) as fall,
        {{ score }} < 0 and row_number() over lowest_first = 1 as is_lowest,
        {{ score }} > 0 and row_number() over highest_first = 1 as is_highest,
        lead({{ score }}) over by_turn >= -0.25 as is_recovered
    from {{ ref('ci_turns') }}
    where landed_at >= {{ landed_from }} and {{ in_days(landed_from) }}
    window
        by_turn as (partition by conversation_id, {{ score }} is null order by turn_index),
        lowest_first as (partition by conversation_id, {{ score }} is null order by {{ score }}, turn_index),
        highest_first as (partition by conversation_id, {{ score }} is null order by {{ score }} desc, turn_index asc)
),

marked as (
    select
        *,
        fall >= 750000
        and row_number() over (partition by conversation_id order by fall desc, turn_index asc) = 1 as is_fall
    from turns
),

gathered as (
    select
        conversation_id,
        conversation_version_id,
        payload_sha256,
        batch_date,
        max(landed_at) as landed_at,
        array_agg(
            struct(
                turn_index as turn_index,
                coalesce(speaker != 'CUSTOMER', false) as is_agent,
                start_offset_sec as start_offset_sec
            )
            order by turn_index
        ) as turns,
        array_agg(
            if(
                is_fall or is_lowest or is_highest,
                struct(
                    turn_index as turn_index,
                    coalesce(is_fall, false) as is_fall,
                    coalesce(is_lowest, false) as is_lowest,
                    coalesce(is_highest, false) as is_highest,
                    coalesce(is_recovered, false) as is_recovered,
                    text as quote
                ),
                null
            )
            ignore nulls
            order by turn_index
        ) as moods
    from marked
    group by conversation_id, conversation_version_id, payload_sha256, batch_date
)

select * from gathered
