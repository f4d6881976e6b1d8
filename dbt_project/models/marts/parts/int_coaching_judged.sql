{# The worst finding decides where each place must be good (a cue, a forbidden phrase), the best where one is enough.
   `ingest rubric plan --impact` asks this view by another rubric. #}
{%- set needs_one = "('said', 'said_before_turn', 'disclosure_said', 'said_for_outcome')" %}
with

{# Of several scorings the latest; an answer that does not apply has no score. Scorecards may share a question's id. #}
qa_answers as (
    select
        answers.conversation_id,
        subject,
        answers.qa_answer_id,
        {{ qa_answer('answers') }} as qa_answer,
        answers.normalized_score
    from {{ ref('ci_qa_answers') }} as answers
    cross join unnest([answers.question_id, concat(answers.scorecard_id, '.', answers.question_id)]) as subject
    {{ latest_by('answers.conversation_id, subject', 'answers.scored_at desc, answers.qa_answer_id') }}
),

measured as (
    select
        due.*,
        findings.* except (coaching_check_id),
        due.rule in {{ needs_one }} as needs_one,
        qa_answers.qa_answer_id,
        qa_answers.qa_answer,
        case due.rule
            when 'talk_share_at_most'
                then coalesce(
                        dynamics.agent_talk_share,
                        dynamics.agent_word_count / nullif(
                            dynamics.agent_word_count
                            + dynamics.automated_agent_word_count
                            + dynamics.customer_word_count,
                            0
                        )
                    )
            when 'interruptions_at_most' then dynamics.agent_interruption_count
            when 'qa_score_at_least' then qa_answers.normalized_score
        end as measured_value
    from {{ ref('int_coaching_due') }} as due
    left join {{ ref('int_coaching_findings') }} as findings
        on due.coaching_check_id = findings.coaching_check_id
    left join {{ ref('call_dynamics') }} as dynamics
        on due.conversation_id = dynamics.conversation_id
    left join qa_answers
        on
            due.conversation_id = qa_answers.conversation_id
            and due.rule = 'qa_score_at_least'
            and due.subject = qa_answers.subject
    qualify
        row_number() over (
            partition by due.coaching_check_id
            order by
                findings.is_good = (due.rule in {{ needs_one }}) desc,
                findings.turn_index,
                findings.start_char asc,
                findings.end_char asc
        ) = 1
),

verdicts as (
    select
        coaching_check_id,
        conversation_id,
        conversation_version_id,
        analysis_id,
        check_id,
        dimension,
        rule,
        severity,
        policy,
        case
            when rule in ('talk_share_at_most', 'interruptions_at_most')
                then if(measured_value is null, 'not_applicable', if(measured_value <= limit_value, 'pass', 'fail'))
            when rule = 'qa_score_at_least'
                then if(measured_value is null, 'not_applicable', if(measured_value >= limit_value, 'pass', 'fail'))
            when is_good is not null then if(is_good, 'pass', 'fail')
            when needs_one then 'fail'
            when rule = 'not_said' then 'pass'
            else 'not_applicable'
        end as verdict,
        quote,
        advice,
        rule_sha256,
        agent_id,
        policy_version,
        turn_index,
        start_char,
        end_char,
        case
            when is_good is not null then searched_from_turn
            when needs_one or rule = 'not_said' then 0
        end as searched_from_turn,
        case
            when is_good is not null then searched_to_turn
            when rule = 'said_before_turn' then least(cast(limit_value as int64), turn_count) - 1
            when needs_one or rule = 'not_said' then turn_count - 1
        end as searched_to_turn,
        case severity when 'critical' then 8 when 'high' then 4 when 'medium' then 2 else 1 end as weight,
        limit_value,
        measured_value,
        qa_answer_id,
        qa_answer,
        call_date,
        batch_date,
        landed_at
    from measured
),

judged as (
    select
        *,
        if(
            verdict = 'not_applicable',
            null,
            {{ surrogate_key([
                'verdict', 'dimension', 'severity', 'policy', 'policy_version', 'advice', 'turn_index', 'start_char',
                'end_char', 'searched_from_turn', 'searched_to_turn',
            ]) }}
        ) as outcome_sha256
    from verdicts
)

select * from judged
