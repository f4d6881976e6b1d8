{# The worst finding decides where each place must be good (a cue, a forbidden phrase), the best where one is
   enough. #}
{%- set needs_one = "('said', 'said_before_turn', 'disclosure_said')" %}
with

measured as (
    select
        due.*,
        findings.* except (coaching_check_id),
        case due.rule
            when 'talk_share_at_most' then dynamics.agent_talk_share
            when 'interruptions_at_most' then dynamics.agent_interruption_count
        end as measured_value
    from {{ ref('int_coaching_due') }} as due
    left join {{ ref('int_coaching_findings') }} as findings
        on due.coaching_check_id = findings.coaching_check_id
    left join {{ ref('call_dynamics') }} as dynamics
        on due.conversation_id = dynamics.conversation_id
    qualify
        row_number() over (
            partition by due.coaching_check_id
            order by
                findings.is_good = (due.rule in {{ needs_one }}) desc,
                findings.turn_index,
                findings.start_char,
                findings.end_char
        ) = 1
),

judged as (
    select
        coaching_check_id,
        conversation_id,
        conversation_version_id,
        check_id,
        dimension,
        rule,
        severity,
        policy,
        case
            when rule in ('talk_share_at_most', 'interruptions_at_most')
                then
                    case
                        when measured_value is null then 'not_applicable'
                        when measured_value <= limit_value then 'pass'
                        else 'fail'
                    end
            when is_good is not null then if(is_good, 'pass', 'fail')
            when rule in {{ needs_one }} then 'fail'
            when rule = 'not_said' then 'pass'
            else 'not_applicable'
        end as verdict,
        quote,
        advice,
        agent_id,
        policy_version,
        turn_index,
        start_char,
        end_char,
        case
            when is_good is not null then searched_from_turn
            when rule in {{ needs_one }} or rule = 'not_said' then 0
        end as searched_from_turn,
        case
            when is_good is not null then searched_to_turn
            when rule = 'said_before_turn' then least(cast(limit_value as int64), turn_count) - 1
            when rule in {{ needs_one }} or rule = 'not_said' then turn_count - 1
        end as searched_to_turn,
        measured_value,
        batch_date,
        landed_at
    from measured
)

select * from judged
