{{
    config(
        materialized='incremental',
        unique_key='highlight_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook="{{ delete_superseded() }}"
    )
}}
{# Highlights may be rare and the watermark old with them: only days of analyses that have some are read. #}
{%- set landed = 'landed_at >= ' ~ landed_from() %}
{%- set highlighted = '(select conversation_id from ' ~ ref('int_analysis_findings') ~ ' where highlight_count > 0)' %}
{%- set is_changed = landed ~ ' and conversation_id in ' ~ highlighted %}
with

turns as (
    select *
    from {{ ref('ci_turns') }}
    where {{ landed }} and {{ date_range('batch_date', ref('ci_conversations'), is_changed) }}
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
        and {{ date_range('findings.analysed_date', ref('ci_conversations'), is_changed, 'date(analysed_at)') }}
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
