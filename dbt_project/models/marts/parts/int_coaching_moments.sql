{# The three moments of a conversation to hear. #}
with

quotes as (
    select
        conversation_id,
        if(verdict = 'fail', 'miss', 'strength') as kind,
        if(verdict = 'fail', 1, 2) as kind_place,
        check_id,
        weight,
        turn_index,
        start_char,
        end_char,
        quote
    from {{ ref('coaching_checks') }}
    where quote is not null
    union all
    select
        coaching_turns.conversation_id,
        if(mood.is_highest, 'highest_mood', 'lowest_mood') as kind,
        if(mood.is_highest, 104, 103) as kind_place,
        cast(null as string) as check_id,
        0 as weight,
        mood.turn_index,
        0 as start_char,
        char_length(mood.quote) as end_char,
        mood.quote
    from {{ ref('int_coaching_turns') }} as coaching_turns
    cross join unnest(coaching_turns.moods) as mood
    where mood.is_highest or mood.is_lowest
),

{# One moment a turn; the gravest miss and the best strength take turns, then come the customer's moods. #}
places as (
    select
        *,
        row_number() over (
            partition by conversation_id, kind order by weight desc, turn_index asc, start_char asc, check_id asc
        ) as place
    from quotes
    qualify
        row_number() over (
            partition by conversation_id, turn_index order by kind_place asc, weight desc, start_char asc, check_id asc
        ) = 1
),

chosen as (
    select *
    from places
    qualify row_number() over (partition by conversation_id order by kind_place + 10 * place) <= 3
),

moments as (
    select
        conversation_id,
        array_agg(
            struct(
                kind as kind,
                check_id as check_id,
                turn_index as turn_index,
                start_char as start_char,
                end_char as end_char,
                quote as quote
            )
            order by turn_index
        ) as moments
    from chosen
    group by conversation_id
)

select * from moments
