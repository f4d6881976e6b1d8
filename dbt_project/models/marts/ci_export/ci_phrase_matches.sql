{{
    config(
        materialized='incremental',
        unique_key='phrase_match_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook="{{ delete_superseded() }}"
    )
}}
{# CI says only that a matcher hit a turn. The phrases are looked for in the turn's text; a hit without a
   phrase (negated rules alone, or a revision that isn't known) keeps one row, so no hit is lost. #}
{%- set landed_from = landed_from() %}
with

hits as (
    select
        {{ surrogate_key(['turns.turn_id', 'annotations.phrase_matcher_id']) }} as hit_id,
        turns.*,
        {{ plain_text('turns.text') }} as plain_text,
        annotations.phrase_matcher_id,
        annotations.revision_id,
        annotations.phrase_matcher
    from {{ ref('int_phrase_annotations') }} as annotations
    inner join {{ ref('ci_turns') }} as turns
        on
            annotations.conversation_id = turns.conversation_id
            and annotations.payload_sha256 = turns.payload_sha256
            and annotations.turn_index = turns.turn_index
            and annotations.landed_at = turns.landed_at
    where annotations.landed_at >= {{ landed_from }} and turns.landed_at >= {{ landed_from }}
    {{ latest_by('hit_id', 'annotations.revision_id') }}
),

found as (
    select
        hits.hit_id,
        rules.*,
        {{ phrase_spans('hits.plain_text', 'rules.pattern') }} as spans
    from hits
    inner join {{ ref('int_phrase_rules') }} as rules
        on
            hits.phrase_matcher_id = rules.phrase_matcher_id
            and hits.revision_id = rules.revision_id
),

holding as (
    select *
    from found
    qualify
        logical_and((array_length(spans) > 0) != is_negated) over in_group
        or (not is_all_of and logical_or((array_length(spans) > 0) != is_negated) over in_group)
    window in_group as (partition by hit_id, group_number)
),

phrases as (
    select
        holding.* except (spans),
        span.start_char,
        span.end_char
    from holding
    cross join unnest(holding.spans) as span
    where not holding.is_negated
),

matches as (
    select
        {{ surrogate_key(['hits.hit_id', 'phrases.phrase_match_rule_id', 'phrases.start_char']) }} as phrase_match_id,
        hits.turn_id,
        hits.conversation_id,
        hits.conversation_version_id,
        hits.analysis_id,
        hits.phrase_matcher_id,
        hits.revision_id,
        hits.payload_sha256,
        hits.phrase_matcher,
        phrases.phrase_group,
        phrases.phrase,
        hits.speaker,
        hits.turn_index,
        phrases.start_char,
        phrases.end_char,
        hits.batch_date,
        hits.landed_at
    from hits
    left join phrases
        on hits.hit_id = phrases.hit_id
)

select * from matches
