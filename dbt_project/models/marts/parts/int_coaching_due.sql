{# Which checks a conversation is judged by: those of its line, direction, medium, queue, outcome and agent that hold on
   its day, by the version of their policy in force on it. The day is that of the call where the call was. A disclosure
   is asked for where required_disclosures does. #}
{%- set last_day = "date '9999-12-31'" %}
with

call_dates as (
    select
        conversation_id,
        content_sha256,
        min(call_date) as call_date
    from {{ ref('int_conversation_files') }}
    where kind = 'metadata'
    group by conversation_id, content_sha256
),

conversations as (
    select
        conversations.*,
        coalesce(call_dates.call_date, conversations.batch_date) as call_date,
        date_diff(coalesce(call_dates.call_date, conversations.batch_date), agents.joined_on, day) as tenure_days
    from {{ ref('ci_conversations') }} as conversations
    left join call_dates
        on
            conversations.conversation_id = call_dates.conversation_id
            and conversations.metadata_sha256 = call_dates.content_sha256
    left join {{ ref('agents') }} as agents
        on conversations.agent_id = agents.agent_id
    where conversations.is_analysed and {{ not_quarantined('conversations.conversation_id') }}
),

due as (
    select
        {{ surrogate_key(['conversations.conversation_id', 'rubric.check_id']) }} as coaching_check_id,
        conversations.conversation_id,
        conversations.conversation_version_id,
        conversations.analysis_id,
        rubric.check_id,
        rubric.dimension,
        rubric.rule,
        rubric.severity,
        rubric.policy,
        rubric.advice,
        {{ surrogate_key([
            'rubric.check_id', 'rubric.dimension', 'rubric.rule', 'rubric.phrases', 'rubric.cue', 'rubric.subject',
            'rubric.limit_value', 'rubric.severity', 'rubric.policy', 'rubric.advice',
        ]) }} as rule_sha256,
        conversations.agent_id,
        conversations.call_outcome,
        rubric.phrases,
        rubric.cue,
        rubric.subject,
        rubric.limit_value,
        policies.version as policy_version,
        conversations.turn_count,
        conversations.call_date,
        conversations.batch_date,
        conversations.landed_at
    from conversations
    inner join {{ ref('coaching_rubric') }} as rubric
        on
            conversations.call_date between rubric.valid_from and coalesce(rubric.valid_to, {{ last_day }})
            {%- for field in ['business_line', 'direction', 'medium', 'queue'] %}
                and coalesce(conversations.{{ field }} = rubric.{{ field }}, rubric.{{ field }} is null)
            {%- endfor %}
            {%- for bound, sign in [('from', '>='), ('to', '<=')] %}
                and coalesce(
                    conversations.tenure_days {{ sign }} rubric.tenure_{{ bound }}_days,
                    rubric.tenure_{{ bound }}_days is null
                )
            {%- endfor %}
    inner join {{ ref('policies') }} as policies
        on
            rubric.policy = policies.policy
            and conversations.call_date between policies.valid_from and coalesce(policies.valid_to, {{ last_day }})
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
    where
        case rubric.rule
            when 'disclosure_said' then required.disclosure is not null
            when 'said_for_outcome' then conversations.call_outcome in unnest(split(rubric.subject, '|'))
            else true
        end
)

select * from due
