{# An agent's weeks, from Monday, on the calendar where the calls were. Shares are of weights, as on the cards. #}
{%- set week = "date_trunc({}, week(monday))" %}
with

cards as (
    select
        *,
        {{ week.format('call_date') }} as week_start
    from {{ ref('coaching_cards') }}
    where agent_id is not null and judged_weight > 0
),

checks as (
    select
        *,
        {{ week.format('call_date') }} as week_start
    from {{ ref('coaching_checks') }}
    where agent_id is not null and verdict != 'not_applicable'
),

shares as (
    select
        agent_id,
        week_start,
        dimension,
        count(*) as judged_count,
        sum(if(verdict = 'pass', weight, 0)) / sum(weight) as score
    from checks
    group by agent_id, week_start, dimension
),

trends as (
    select
        *,
        score - lag(score) over (partition by agent_id, dimension order by week_start) as score_change
    from shares
),

dimensions as (
    select
        agent_id,
        week_start,
        array_agg(
            struct(
                dimension as dimension,
                judged_count as judged_count,
                score as score,
                score_change as score_change
            )
            order by dimension
        ) as dimensions
    from trends
    group by agent_id, week_start
),

misses as (
    select
        agent_id,
        week_start,
        check_id,
        weight,
        count(*) as miss_count,
        min(conversation_id) as example_conversation_id
    from checks
    where verdict = 'fail'
    group by agent_id, week_start, check_id, weight
    qualify
        row_number() over (
            partition by agent_id, week_start order by count(*) * weight desc, weight desc, check_id asc
        ) <= 3
),

top_misses as (
    select
        agent_id,
        week_start,
        array_agg(
            struct(
                check_id as check_id,
                miss_count as miss_count,
                example_conversation_id as example_conversation_id
            )
            order by miss_count * weight desc, weight desc, check_id asc
        ) as top_misses
    from misses
    group by agent_id, week_start
),

weeks as (
    select
        agent_id,
        week_start,
        count(*) as conversation_count,
        countif(miss_count = 0) as exemplary_count,
        sum(passed_weight) / sum(judged_weight) as score,
        array_agg(
            conversation_id order by score desc, judged_weight desc, conversation_id asc
        )[offset(0)] as best_conversation_id,
        max(landed_at) as landed_at
    from cards
    group by agent_id, week_start
),

{# The latest coaching before the week began. #}
sessions as (
    select
        weeks.agent_id,
        weeks.week_start,
        max(coached.coached_on) as coached_on
    from weeks
    inner join {{ ref('coached') }} as coached
        on
            weeks.agent_id = coached.agent_id
            and weeks.week_start > coached.coached_on
    group by weeks.agent_id, weeks.week_start
),

weekly as (
    select
        {{ surrogate_key(['weeks.agent_id', 'weeks.week_start']) }} as agent_week_id,
        weeks.agent_id,
        weeks.best_conversation_id,
        weeks.conversation_count,
        weeks.exemplary_count,
        weeks.score,
        weeks.score - lag(weeks.score) over (partition by weeks.agent_id order by weeks.week_start) as score_change,
        weeks.score - coached_weeks.score as score_change_since_coaching,
        weeks.week_start,
        sessions.coached_on,
        dimensions.dimensions,
        top_misses.top_misses
    from weeks
    inner join dimensions
        on weeks.agent_id = dimensions.agent_id and weeks.week_start = dimensions.week_start
    left join top_misses
        on weeks.agent_id = top_misses.agent_id and weeks.week_start = top_misses.week_start
    left join sessions
        on weeks.agent_id = sessions.agent_id and weeks.week_start = sessions.week_start
    left join weeks as coached_weeks
        on
            weeks.agent_id = coached_weeks.agent_id
            and {{ week.format('sessions.coached_on') }} = coached_weeks.week_start
)

select * from weekly
