{# Law: a quote is what the turn says at its span, letter by letter. A coach who quotes otherwise puts words into
   somebody's mouth. That the turn is there once says another law. #}
with

quotes as (
    select
        conversation_id,
        turn_index,
        start_char,
        end_char,
        quote
    from {{ ref('coaching_checks') }}
    where quote is not null
    union all
    select
        cards.conversation_id,
        moment.turn_index,
        moment.start_char,
        moment.end_char,
        moment.quote
    from {{ ref('coaching_cards') }} as cards
    cross join unnest(cards.moments) as moment
)

select quotes.conversation_id
from quotes
inner join {{ ref('ci_turns') }} as turns
    on
        quotes.conversation_id = turns.conversation_id
        and quotes.turn_index = turns.turn_index
group by quotes.conversation_id, quotes.turn_index, quotes.start_char, quotes.end_char, quotes.quote
having countif(substr(turns.text, quotes.start_char + 1, quotes.end_char - quotes.start_char) = quotes.quote) = 0
