{# Places in the talk that speak for or against a check: what the agent said, and the customer's cues with whether they
   were answered. Phrases are those that Insights' matchers hit. #}
with

turns as (
    select
        *,
        lag(customer_sentiment_score) over (
            partition by conversation_id, customer_sentiment_score is null order by turn_index
        ) as previous_score
    from {{ ref('ci_turns') }}
),

hits as (
    select
        turns.conversation_id,
        matches.phrase_matcher,
        concat(matches.phrase_matcher, '.', matches.phrase_group) as phrase_group,
        turns.speaker,
        turns.turn_index,
        turns.start_offset_sec,
        matches.start_char,
        matches.end_char,
        substr(turns.text, matches.start_char + 1, matches.end_char - matches.start_char) as quote
    from {{ ref('ci_phrase_matches') }} as matches
    inner join turns
        on matches.turn_id = turns.turn_id
    where matches.phrase is not null
),

said as (
    select
        due.coaching_check_id,
        hits.*
    from {{ ref('int_coaching_due') }} as due
    inner join hits
        on
            due.conversation_id = hits.conversation_id
            and due.phrases in (hits.phrase_matcher, hits.phrase_group)
    where hits.speaker != 'CUSTOMER'
),

cues as (
    select
        due.*,
        hits.* except (conversation_id, phrase_matcher, phrase_group, speaker)
    from {{ ref('int_coaching_due') }} as due
    inner join hits
        on
            due.conversation_id = hits.conversation_id
            and due.cue in (hits.phrase_matcher, hits.phrase_group)
    where hits.speaker = 'CUSTOMER'
    union all
    select
        due.*,
        turns.turn_index,
        turns.start_offset_sec,
        0 as start_char,
        char_length(turns.text) as end_char,
        turns.text as quote
    from {{ ref('int_coaching_due') }} as due
    inner join turns
        on due.conversation_id = turns.conversation_id
    where
        due.rule = 'sentiment_met_turns'
        and turns.customer_sentiment_score < 0
        and {{ micros('turns.previous_score') }} - {{ micros('turns.customer_sentiment_score') }} >= 400000
),

{# A cue after which no agent speaks in time, because the talk ends, is not judged. #}
answers as (
    select
        cues.coaching_check_id,
        cues.turn_index,
        cues.start_char,
        cues.end_char,
        cues.quote,
        max(turns.turn_index) as searched_to_turn,
        logical_or(said.turn_index is not null) as is_good
    from cues
    inner join turns
        on
            cues.conversation_id = turns.conversation_id
            and cues.turn_index < turns.turn_index
    left join said
        on
            cues.coaching_check_id = said.coaching_check_id
            and turns.turn_index = said.turn_index
    where
        turns.speaker != 'CUSTOMER'
        and if(
            cues.rule = 'said_after_cue_seconds',
            turns.start_offset_sec - cues.start_offset_sec <= cues.limit_value,
            turns.turn_index - cues.turn_index <= cues.limit_value
        )
    group by cues.coaching_check_id, cues.turn_index, cues.start_char, cues.end_char, cues.quote
),

findings as (
    select
        coaching_check_id,
        turn_index,
        start_char,
        end_char,
        quote,
        turn_index as searched_from_turn,
        searched_to_turn,
        is_good
    from answers
    union distinct
    select
        said.coaching_check_id,
        said.turn_index,
        said.start_char,
        said.end_char,
        said.quote,
        cast(null as int64) as searched_from_turn,
        cast(null as int64) as searched_to_turn,
        due.rule != 'not_said' as is_good
    from said
    inner join {{ ref('int_coaching_due') }} as due
        on said.coaching_check_id = due.coaching_check_id
    where
        due.rule in ('said', 'not_said', 'disclosure_said')
        or (due.rule = 'said_before_turn' and said.turn_index < due.limit_value)
)

select * from findings
