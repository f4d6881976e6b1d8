{# A view over a few columns; its partition is that of the table below, by which tests ask it for some days alone. #}
{{ config(materialized='view', partition_by={'field': 'batch_date', 'data_type': 'date'}) }}
with

answers as (
    select
        {{ surrogate_key(['results.qa_result_id', 'place']) }} as qa_answer_id,
        results.qa_result_id,
        results.conversation_id,
        results.conversation_version_id,
        results.analysis_id,
        results.scorecard_id,
        results.revision_id,
        regexp_extract(answer.question_name, r'([^/]+)$') as question_id,
        answer.question_name,
        answer.question_body,
        answer.answer_key,
        answer.text_value,
        answer.number_value,
        answer.bool_value,
        answer.is_na,
        answer.score,
        answer.potential_score,
        answer.normalized_score,
        coalesce(
            (
                select max({{ qa_answer('given') }})
                from unnest(answer.sources) as given
                where given.source_type = 'SYSTEM_GENERATED'
            ),
            {{ qa_answer('answer') }}
        ) as machine_answer,
        results.agent_id,
        results.batch_date,
        results.scored_at,
        results.landed_at,
        answer.tags,
        answer.sources
    from {{ ref('ci_qa_results') }} as results
    cross join unnest(results.answers) as answer with offset as place
)

select * from answers
