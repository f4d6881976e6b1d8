{# Places in the talk that speak for or against a check: what the agent said, and the customer's cues with whether they
   were answered. Phrases are those that Insights' matchers hit; of a phrase group the first cue counts, since who has
   been heard once may go on. #}
with

due as (
    select *
    from {{ ref('int_coaching_due') }}
),

turns as (
    select
        coaching_turns.conversation_id,
        turn.turn_index,
        turn.is_agent,
        turn.start_offset_sec
    from {{ ref('int_coaching_turns') }} as coaching_turns
    cross join unnest(coaching_turns.turns) as turn
),

hits as (
    select
        conversation_id,
        phrase_matcher,
        concat(phrase_matcher, '.', phrase_group) as phrase_group,
        speaker,
        turn_index,
        start_char,
        end_char,
        quote
    from {{ ref('ci_phrase_matches') }}
    where phrase is not null
),

said as (
    select
        due.coaching_check_id,
        due.rule,
        due.limit_value,
        hits.* except (conversation_id)
    from due
    inner join hits
        on
            due.conversation_id = hits.conversation_id
            and due.phrases in (hits.phrase_matcher, hits.phrase_group)
    where hits.speaker != 'CUSTOMER'
),

cues as (
    select
        due.*,
        hits.* except (conversation_id, phrase_matcher, phrase_group, speaker),
        false as is_recovered
    from due
    inner join hits
        on
            due.conversation_id = hits.conversation_id
            and due.cue in (hits.phrase_matcher, hits.phrase_group)
    where hits.speaker = 'CUSTOMER'
    qualify
        row_number() over (
            partition by due.coaching_check_id, hits.phrase_group
            order by hits.turn_index, hits.start_char, hits.end_char
        ) = 1
    union all
    select
        due.*,
        mood.turn_index,
        0 as start_char,
        char_length(mood.quote) as end_char,
        mood.quote,
        mood.is_recovered
    from due
    inner join {{ ref('int_coaching_turns') }} as coaching_turns
        on due.conversation_id = coaching_turns.conversation_id
    cross join unnest(coaching_turns.moods) as mood
    where due.rule = 'sentiment_met_turns' and mood.is_fall
),

{# A cue after which no agent speaks in time, because the talk ends, is not judged. #}
answers as (
    select
        cues.coaching_check_id,
        cues.turn_index,
        cues.start_char,
        cues.end_char,
        cues.quote,
        cues.turn_index as searched_from_turn,
        max(turns.turn_index) as searched_to_turn,
        logical_or(cues.is_recovered or said.turn_index is not null) as is_good
    from cues
    inner join turns as cue_turns
        on
            cues.conversation_id = cue_turns.conversation_id
            and cues.turn_index = cue_turns.turn_index
    inner join turns
        on
            cues.conversation_id = turns.conversation_id
            and cues.turn_index < turns.turn_index
    left join said
        on
            cues.coaching_check_id = said.coaching_check_id
            and turns.turn_index = said.turn_index
    where
        cues.rule != 'outcome_after_cue'
        and turns.is_agent
        and if(
            cues.rule = 'said_after_cue_seconds',
            turns.start_offset_sec - cue_turns.start_offset_sec <= cues.limit_value,
            turns.turn_index - cues.turn_index <= cues.limit_value
        )
    group by cues.coaching_check_id, cues.turn_index, cues.start_char, cues.end_char, cues.quote
),

findings as (
    select *
    from answers
    union distinct
    select
        coaching_check_id,
        turn_index,
        start_char,
        end_char,
        quote,
        turn_index as searched_from_turn,
        turn_count - 1 as searched_to_turn,
        call_outcome in unnest(split(subject, '|')) as is_good
    from cues
    where rule = 'outcome_after_cue' and call_outcome is not null
    union distinct
    select
        coaching_check_id,
        turn_index,
        start_char,
        end_char,
        quote,
        cast(null as int64) as searched_from_turn,
        cast(null as int64) as searched_to_turn,
        rule != 'not_said' as is_good
    from said
    where
        rule in ('said', 'not_said', 'disclosure_said', 'said_for_outcome')
        or (rule = 'said_before_turn' and turn_index < limit_value)
)

select * from findings
