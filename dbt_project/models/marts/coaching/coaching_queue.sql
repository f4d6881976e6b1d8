{# The calls of the last 28 days that a supervisor should hear: those with misses to coach by, and those to show others.
   A call's points look back from its own day and never ahead, so later calls change nobody's place towards another. #}
with

cards as (
    select
        *,
        max(call_date) over () as last_call_date
    from {{ ref('coaching_cards') }}
),

misses as (
    select
        conversation_id,
        date_diff(
            call_date,
            lag(call_date) over (partition by agent_id, check_id order by call_date, conversation_id),
            day
        ) as days_since
    from {{ ref('coaching_checks') }}
    where verdict = 'fail'
),

novelties as (
    select
        conversation_id,
        countif(coalesce(days_since > 28, true)) as new_miss_count
    from misses
    group by conversation_id
),

at_risk as (
    select matches.conversation_id
    from {{ ref('ci_phrase_matches') }} as matches
    inner join {{ ref('matcher_measures') }} as measures
        on matches.phrase_matcher = measures.phrase_matcher
    where matches.speaker = 'CUSTOMER' and measures.measure in ('vulnerability', 'escalation_trigger')
    union distinct
    select conversation_id
    from {{ ref('customer_sentiment_arcs') }}
    where sentiment_arc in ('positive_to_negative', 'steady_negative')
),

sessions as (
    select
        cards.conversation_id,
        max(coached.conversation_id = cards.conversation_id) as is_coached,
        max(if(coached.coached_on <= cards.call_date, coached.coached_on, null)) as coached_before
    from cards
    inner join {{ ref('coached') }} as coached
        on cards.agent_id = coached.agent_id
    group by cards.conversation_id
),

waiting as (
    select
        cards.*,
        if(cards.miss_count > 0, 'coach', 'show') as kind,
        coalesce(novelties.new_miss_count, 0) as new_miss_count,
        at_risk.conversation_id is not null as is_customer_at_risk,
        coalesce(date_diff(cards.call_date, sessions.coached_before, day) > 28, true) as is_uncoached
    from cards
    left join novelties
        on cards.conversation_id = novelties.conversation_id
    left join at_risk
        on cards.conversation_id = at_risk.conversation_id
    left join sessions
        on cards.conversation_id = sessions.conversation_id
    where
        date_diff(cards.last_call_date, cards.call_date, day) < 28
        and coalesce(not sessions.is_coached, true)
        and (cards.miss_count > 0 or cards.judged_weight >= 8)
),

pointed as (
    select
        *,
        if(kind = 'coach', judged_weight - passed_weight + 2 * new_miss_count + if(is_uncoached, 2, 0), passed_weight)
        + if(is_customer_at_risk, 4, 0) as points
    from waiting
),

ranked as (
    select
        conversation_id,
        kind,
        agent_id,
        agent_team,
        worst_severity,
        summary,
        row_number() over (partition by kind order by points desc, call_date desc, conversation_id asc) as queue_rank,
        points,
        new_miss_count,
        is_customer_at_risk,
        is_uncoached,
        score,
        call_date,
        batch_date,
        array(
            select reason
            from unnest([
                    if(kind = 'show', 'nothing missed', concat('worst miss is ', worst_severity)),
                    if(
                        new_miss_count > 0, concat(cast(new_miss_count as string), ' new to the agent in 28 days'), null
                    ),
                    if(is_customer_at_risk, 'customer at risk', null),
                    if(kind = 'coach' and is_uncoached, 'agent not coached in 28 days', null)
                ]) as reason with offset as place
            where reason is not null
            order by place
        ) as reasons
    from pointed
)

select * from ranked
