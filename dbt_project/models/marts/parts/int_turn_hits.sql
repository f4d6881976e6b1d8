{# Each matcher's and each smart highlight's hits on a turn, once. #}
with

phrase_matches as (
    select
        turn_id,
        phrase_matcher_id,
        min(revision_id) as revision_id,
        min(phrase_matcher) as phrase_matcher
    from {{ ref('ci_phrase_matches') }}
    group by turn_id, phrase_matcher_id
),

highlights as (
    select
        turn_id,
        intent_id,
        min(highlight) as highlight
    from {{ ref('ci_highlights') }}
    group by turn_id, intent_id
),

hits as (
    select
        turn_id,
        'CUSTOM' as hit_type,
        phrase_matcher_id as hit_id,
        revision_id,
        phrase_matcher as display_name
    from phrase_matches
    union all
    select
        turn_id,
        'SMART' as hit_type,
        intent_id as hit_id,
        cast(null as string) as revision_id,
        highlight as display_name
    from highlights
)

select * from hits
