{# Which checks a conversation is judged by: those of its line, direction, medium and queue that hold on its day, by the
   version of their policy in force on it. A disclosure is asked for where required_disclosures does. #}
with

conversations as (
    select *
    from {{ ref('ci_conversations') }}
    where is_analysed and {{ not_quarantined('conversation_id') }}
),

due as (
    select
        {{ surrogate_key(['conversations.conversation_id', 'rubric.check_id']) }} as coaching_check_id,
        conversations.conversation_id,
        conversations.conversation_version_id,
        rubric.check_id,
        rubric.dimension,
        rubric.rule,
        rubric.severity,
        rubric.policy,
        rubric.advice,
        conversations.agent_id,
        rubric.phrases,
        rubric.cue,
        rubric.limit_value,
        policies.version as policy_version,
        conversations.turn_count,
        conversations.batch_date,
        conversations.landed_at
    from conversations
    inner join {{ ref('coaching_rubric') }} as rubric
        on
            conversations.batch_date between rubric.valid_from and coalesce(rubric.valid_to, date '9999-12-31')
            and coalesce(conversations.business_line = rubric.business_line, rubric.business_line is null)
            and coalesce(conversations.direction = rubric.direction, rubric.direction is null)
            and coalesce(conversations.medium = rubric.medium, rubric.medium is null)
            and coalesce(conversations.queue = rubric.queue, rubric.queue is null)
    inner join {{ ref('policies') }} as policies
        on
            rubric.policy = policies.policy
            and conversations.batch_date between policies.valid_from and coalesce(policies.valid_to, date '9999-12-31')
    left join {{ ref('required_disclosures') }} as required
        on
            rubric.rule = 'disclosure_said'
            and rubric.phrases like concat('%.', required.disclosure)
            and conversations.business_line = required.business_line
            and conversations.direction = required.direction
            and conversations.medium = required.medium
            and coalesce(conversations.call_outcome, '-') not in unnest(
                split(coalesce(required.exempt_call_outcomes, ''), '|')
            )
    where rubric.rule != 'disclosure_said' or required.disclosure is not null
)

select * from due
