{{
    config(
        materialized='incremental',
        unique_key='highlight_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook="{{ delete_superseded() }}"
    )
}}
{%- set landed_from = landed_from() %}
with

turns as (
    select *
    from {{ ref('ci_turns') }}
    where landed_at >= {{ landed_from }}
),

annotations as (
    select *
    from {{ ref('stg_ci__annotations') }}
    where landed_at >= {{ landed_from }} and annotation_type = 'intent'
),

highlights as (
    select
        {{ surrogate_key([
            'turns.turn_id', 'annotations.intent_id', 'annotations.start_word_index', 'annotations.end_word_index'
        ]) }} as highlight_id,
        turns.turn_id,
        turns.conversation_id,
        turns.conversation_version_id,
        turns.analysis_id,
        annotations.intent_id,
        turns.payload_sha256,
        annotations.highlight,
        turns.speaker,
        turns.turn_index,
        annotations.start_word_index,
        annotations.end_word_index,
        turns.batch_date,
        turns.landed_at
    from turns
    inner join annotations
        on
            turns.conversation_id = annotations.conversation_id
            and turns.payload_sha256 = annotations.payload_sha256
            and turns.turn_index = annotations.turn_index
            and turns.landed_at = annotations.landed_at
    {{ latest_by('highlight_id', 'annotations.highlight') }}
)

select * from highlights
