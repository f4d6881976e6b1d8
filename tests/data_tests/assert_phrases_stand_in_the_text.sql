{# Law: a span points at its phrase in the turn's text, case and white space aside.
   A reviewer is shown the span; a shifted one would put words into somebody's mouth. #}
select matches.phrase_match_id
from {{ ref('ci_phrase_matches') }} as matches
inner join {{ ref('ci_turns') }} as turns
    on matches.turn_id = turns.turn_id
where
    matches.phrase is not null
    and lower(regexp_replace(
        {{ plain_text('substr(turns.text, matches.start_char + 1, matches.end_char - matches.start_char)') }},
        r'\s+', ' '
    )) != lower(regexp_replace(trim({{ plain_text('matches.phrase') }}), r'\s+', ' '))
