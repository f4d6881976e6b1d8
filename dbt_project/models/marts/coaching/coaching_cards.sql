{# What a team leader needs before hearing a call. Where something wasn't said, it may have been in other words: such a
   verdict is as sure as 7 of 10. #}
{%- set words = "lower(replace({}, '_', ' '))" %}
{%- set listed -%}
    array_agg(
        if(
            verdict = '{}',
            struct(
                dimension as dimension,
                check_id as check_id,
                severity as severity,
                policy as policy,
                policy_version as policy_version
            ),
            null
        )
        ignore nulls
        order by weight desc, dimension asc, check_id asc
    )
{%- endset %}
with

checks as (
    select
        *,
        verdict = 'pass' as is_pass,
        verdict = 'fail' as is_miss
    from {{ ref('coaching_checks') }}
),

judged as (
    select
        conversation_id,
        to_hex(sha256(string_agg({{ surrogate_key(['rule_sha256', 'policy_version']) }}, '|' order by check_id)))
            as rubric_sha256,
        to_hex(sha256(coalesce(string_agg(outcome_sha256, '|' order by check_id), ''))) as judgement_sha256,
        countif(is_pass or is_miss) as judged_count,
        countif(is_miss) as miss_count,
        sum(if(is_pass or is_miss, weight, 0)) as judged_weight,
        sum(if(is_pass, weight, 0)) as passed_weight,
        max(if(is_miss, weight, 0)) as worst_weight,
        sum(
            case
                when is_pass or is_miss
                    then weight * if(quote is null and measured_value is null, 7, 10)
            end
        ) as sure_weight,
        string_agg(
            if(is_miss, concat({{ words.format('check_id') }}, ' (', severity, ')'), null),
            ', ' order by weight desc, check_id asc
        ) as missed,
        call_date,
        {{ listed.format('pass') }} as strengths,
        {{ listed.format('fail') }} as misses,
        array_agg(if(is_miss, advice, null) ignore nulls order by weight desc, dimension asc, check_id asc)
            as next_actions
    from checks
    group by conversation_id, call_date
),

cards as (
    select
        judged.conversation_id,
        conversations.conversation_version_id,
        conversations.analysis_id,
        conversations.agent_id,
        conversations.agent_team,
        concat(
            coalesce(concat({{ words.format('conversations.direction') }}, ' '), ''),
            coalesce(concat({{ words.format('conversations.business_line') }}, ' '), ''),
            coalesce({{ words.format('conversations.medium') }}, 'conversation'),
            ' of ',
            cast(conversations.turn_count as string),
            ' turns',
            coalesce(concat(' in ', cast(cast(round(conversations.duration_sec) as int64) as string), ' s'), ''),
            coalesce(concat(', outcome ', {{ words.format('conversations.call_outcome') }}), ''),
            coalesce(concat('. Mood of the customer: ', {{ words.format('arcs.sentiment_arc') }}), ''),
            coalesce(
                concat(
                    '. The agent had ',
                    cast(cast(round(dynamics.agent_talk_share * 100) as int64) as string),
                    ' % of the talk'
                ),
                ''
            ),
            '. ',
            cast(judged.judged_count - judged.miss_count as string),
            ' of ',
            cast(judged.judged_count as string),
            ' checks passed',
            coalesce(concat('; missed: ', judged.missed), ''),
            '.'
        ) as summary,
        case judged.worst_weight when 8 then 'critical' when 4 then 'high' when 2 then 'medium' when 1 then 'low' end
            as worst_severity,
        judged.rubric_sha256,
        judged.judgement_sha256,
        conversations.annotator_profile_sha256,
        judged.judged_count,
        judged.miss_count,
        judged.judged_weight,
        judged.passed_weight,
        judged.passed_weight / nullif(judged.judged_weight, 0) as score,
        judged.sure_weight / nullif(judged.judged_weight * 10, 0) as confidence,
        judged.call_date,
        conversations.batch_date,
        conversations.landed_at,
        judged.strengths,
        judged.misses,
        moments.moments,
        judged.next_actions
    from judged
    inner join {{ ref('ci_conversations') }} as conversations
        on judged.conversation_id = conversations.conversation_id
    left join {{ ref('customer_sentiment_arcs') }} as arcs
        on judged.conversation_id = arcs.conversation_id
    left join {{ ref('call_dynamics') }} as dynamics
        on judged.conversation_id = dynamics.conversation_id
    left join {{ ref('int_coaching_moments') }} as moments
        on judged.conversation_id = moments.conversation_id
)

select * from cards
