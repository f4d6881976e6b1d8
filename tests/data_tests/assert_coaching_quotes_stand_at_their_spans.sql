{# Law: a quote is what the turn says at its span, letter by letter. A coach who quotes otherwise puts words into
   somebody's mouth. #}
select checks.coaching_check_id
from {{ ref('coaching_checks') }} as checks
inner join {{ ref('ci_turns') }} as turns
    on
        checks.conversation_id = turns.conversation_id
        and checks.turn_index = turns.turn_index
where
    checks.quote is not null
    and substr(turns.text, checks.start_char + 1, checks.end_char - checks.start_char) != checks.quote
