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
{# What the turns of a conversation come to, so that whoever judges all conversations needn't read all turns. Scores
   are whole millionths; thirds are of the scored turns, in order. #}
{%- set landed_from = landed_from() %}
{%- set thirds = [1, 2, 3] %}
with

turns as (
    select
        *,
        {{ micros('customer_sentiment_score') }} as score,
        if(
            customer_sentiment_score is null,
            null,
            ntile(3) over (
                partition by conversation_id, customer_sentiment_score is null
                order by turn_index
            )
        ) as third
    from {{ ref('ci_turns') }}
    where landed_at >= {{ landed_from }} and {{ in_days(landed_from) }}
),

counted as (
    select
        conversation_id,
        conversation_version_id,
        payload_sha256,
        {{ turn_counts() }},
        count(score) as scored_turn_count,
        countif(score > 0) as positive_turn_count,
        countif(score < 0) as negative_turn_count,
        {%- for number in thirds %}
            countif(third = {{ number }}) as third_{{ number }}_turn_count,
            sum(if(third = {{ number }}, score, 0)) as third_{{ number }}_score,
        {%- endfor %}
        sum(score) as score_sum,
        sum(score * score) as square_sum,
        min(score) as lowest_score,
        batch_date,
        max(landed_at) as landed_at
    from turns
    group by conversation_id, conversation_version_id, payload_sha256, batch_date
)

select * from counted
