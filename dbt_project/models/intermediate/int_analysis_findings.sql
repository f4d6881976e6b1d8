{{
    config(
        materialized='incremental',
        unique_key='analysis_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# An analysis never changes, so what it found is taken once, from the first state that carries it. #}
{%- set landed_from = landed_from() %}
with

first_states as (
    select *
    from {{ ref('int_ci_states') }}
    where analysis_id is not null and {{ in_days(landed_from) }}
    {{ latest_by('analysis_id', 'landed_at, payload_sha256') }}
),

states as (
    select *
    from first_states
    where landed_at >= {{ landed_from }}{{ landed_until() }}
),

annotations as (
    select *
    from {{ ref('stg_ci__annotations') }}
    where landed_at >= {{ landed_from }}{{ landed_until() }}
),

findings as (
    select
        states.analysis_id,
        states.conversation_id,
        countif(annotations.annotation_type = 'sentiment') as sentiment_turn_count,
        countif(annotations.annotation_type = 'sentiment' and annotations.sentiment_score > 0)
            as positive_turn_count,
        countif(annotations.annotation_type = 'sentiment' and annotations.sentiment_score < 0)
            as negative_turn_count,
        countif(annotations.annotation_type = 'phrase_match') as phrase_match_count,
        countif(annotations.annotation_type = 'intent') as highlight_count,
        countif(annotations.annotation_type = 'entity_mention') as entity_mention_count,
        count(annotations.analysis_id) as annotation_count,
        states.batch_date,
        states.analysis_requested_at,
        states.landed_at,
        array_agg(
            if(
                annotations.annotation_type in ('phrase_match', 'intent'),
                concat(
                    coalesce(annotations.phrase_matcher, annotations.highlight, annotations.intent_id),
                    '@', annotations.turn_index
                ),
                null
            )
            ignore nulls
            order by
                annotations.turn_index, annotations.phrase_matcher, annotations.highlight, annotations.intent_id
        ) as hits,
        array_agg(
            if(
                annotations.annotation_type in ('phrase_match', 'intent'),
                struct(
                    annotations.annotation_type as annotation_type,
                    annotations.phrase_matcher_name as phrase_matcher_name,
                    annotations.phrase_matcher as phrase_matcher,
                    annotations.intent_id as intent_id,
                    annotations.highlight as highlight,
                    annotations.turn_index as turn_index,
                    annotations.start_word_index as start_word_index,
                    annotations.end_word_index as end_word_index
                ),
                null
            )
            ignore nulls
            order by
                annotations.turn_index, annotations.phrase_matcher_name, annotations.intent_id,
                annotations.start_word_index, annotations.end_word_index
        ) as turn_annotations
    from states
    left join annotations
        on
            states.conversation_id = annotations.conversation_id
            and states.payload_sha256 = annotations.payload_sha256
            and states.landed_at = annotations.landed_at
    group by
        states.analysis_id,
        states.conversation_id,
        states.batch_date,
        states.analysis_requested_at,
        states.landed_at
)

select * from findings
