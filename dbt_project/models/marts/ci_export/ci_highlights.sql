{{
    config(
        materialized='incremental',
        unique_key='highlight_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['own_days'],
        post_hook=["{{ delete_superseded() }}", "{{ delete_forgotten_states() }}"]
    )
}}
{%- set landed_from = landed_from() %}
{%- set within = in_days(landed_from) %}
with

turns as (
    select *
    from {{ ref('ci_turns') }}
    where landed_at >= {{ landed_from }} and {{ within }}
),

annotations as (
    select
        findings.conversation_id,
        findings.analysis_id,
        annotation.intent_id,
        annotation.highlight,
        annotation.turn_index,
        annotation.start_word_index,
        annotation.end_word_index
    from {{ ref('int_analysis_findings') }} as findings
    cross join unnest(findings.turn_annotations) as annotation
    where
        annotation.annotation_type = 'intent'
        and {{ within | replace('batch_date', 'findings.batch_date') }}
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
            and turns.analysis_id = annotations.analysis_id
            and turns.turn_index = annotations.turn_index
    {{ latest_by('highlight_id', 'annotations.highlight') }}
)

select * from highlights
