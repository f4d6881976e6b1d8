{{
    config(
        materialized='incremental',
        unique_key='phrase_match_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook=["{{ delete_superseded() }}", "{{ delete_forgotten_states() }}"]
    )
}}
{# Insights says only that a matcher hit a turn. The phrases are looked for in the turn's text; a hit without a
   phrase (negated rules, or an unknown revision) keeps one row; a revision that lands late brings it back. #}
{%- set landed = landed_from() %}
{%- set late = [ref('int_phrase_annotations')] if any_landed(ref('int_matcher_revisions'), landed) else [] %}
{%- set days = in_days(landed) %}
{%- set changed = changed_conversations([ref('ci_conversations')] + late, landed, 'true' if late else days) %}
{%- set is_changed = 'conversation_id in (' ~ changed ~ ')' %}
{%- set within = in_days_and_those_of(landed, ref('ci_conversations'), is_changed) if late else days %}
with

hits as (
    select
        {{ surrogate_key(['turns.turn_id', 'annotations.phrase_matcher_id']) }} as hit_id,
        turns.* except (landed_at),
        {{ marked_text(plain_text('turns.text')) }} as marked_text,
        annotations.phrase_matcher_id,
        annotations.revision_id,
        annotations.phrase_matcher,
        greatest(turns.landed_at, annotations.landed_at) as landed_at
    from {{ ref('ci_turns') }} as turns
    inner join {{ ref('int_phrase_annotations') }} as annotations
        on
            turns.conversation_id = annotations.conversation_id
            and turns.analysis_id = annotations.analysis_id
            and turns.turn_index = annotations.turn_index
    where
        turns.{{ is_changed }}
        and {{ within | replace('batch_date', 'turns.batch_date') }}
        and {{ 'true' if late else within | replace('batch_date', 'annotations.batch_date') }}
    {{ latest_by('hit_id', 'annotations.revision_id') }}
),

holding as (
    select
        hits.hit_id,
        rules.*,
        {{ phrase_spans('hits.marked_text', 'rules.pattern') }} as spans
    from hits
    inner join {{ ref('int_phrase_rules') }} as rules
        on
            hits.phrase_matcher_id = rules.phrase_matcher_id
            and hits.revision_id = rules.revision_id
    qualify
        logical_and((array_length(spans) > 0) != rules.is_negated) over in_group
        or (not rules.is_all_of and logical_or((array_length(spans) > 0) != rules.is_negated) over in_group)
    window in_group as (partition by hits.hit_id, rules.group_number)
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
        substr(hits.text, phrases.start_char + 1, phrases.end_char - phrases.start_char) as quote,
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
