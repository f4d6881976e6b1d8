{# Law: a span points at its phrase in the turn's text, by the rule that finds phrases; case aside.
   A reviewer is shown the span; a shifted one would put words into somebody's mouth. #}
{%- set span = 'substr(turns.text, matches.start_char + 1, matches.end_char - matches.start_char)' -%}
select matches.phrase_match_id
from {{ ref('ci_phrase_matches') }} as matches
inner join {{ ref('ci_turns') }} as turns
    on matches.turn_id = turns.turn_id
where
    matches.phrase is not null
    and not regexp_contains(
        {{ marked_text(plain_text(span)) }},
        concat('^', {{ phrase_pattern('matches.phrase', 'false') }}, '$')
    )
