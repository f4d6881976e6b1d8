{# People against machine. A label is of a question, whichever revision it was given on: revisions are compared by the
   same labels. Who labels a question of a conversation again means the newest. Integers are divided once, at the end. #}
with

labelled as (
    select
        conversation_id,
        scorecard_id,
        question_id,
        answer
    from {{ ref('ci_feedback_labels') }}
    where answer is not null and question_id is not null
    {{ latest_by(
        'conversation_id, scorecard_id, question_id',
        'coalesce(label_updated_at, landed_at) desc, feedback_label_id'
    ) }}
),

cells as (
    select
        answers.scorecard_id,
        answers.revision_id,
        answers.question_id,
        max(answers.question_body) as question_body,
        answers.machine_answer,
        labelled.answer as person_answer,
        count(*) as cell_count
    from {{ ref('ci_qa_answers') }} as answers
    inner join labelled
        on
            answers.conversation_id = labelled.conversation_id
            and answers.scorecard_id = labelled.scorecard_id
            and answers.question_id = labelled.question_id
    where answers.machine_answer is not null
    group by
        answers.scorecard_id, answers.revision_id, answers.question_id, answers.machine_answer, labelled.answer
),

by_machine as (
    select
        scorecard_id,
        revision_id,
        question_id,
        machine_answer as answer,
        sum(cell_count) as answer_count
    from cells
    group by scorecard_id, revision_id, question_id, machine_answer
),

by_person as (
    select
        scorecard_id,
        revision_id,
        question_id,
        person_answer as answer,
        sum(cell_count) as answer_count
    from cells
    group by scorecard_id, revision_id, question_id, person_answer
),

by_chance as (
    select
        by_machine.scorecard_id,
        by_machine.revision_id,
        by_machine.question_id,
        sum(by_machine.answer_count * by_person.answer_count) as product_sum
    from by_machine
    inner join by_person
        on
            by_machine.scorecard_id = by_person.scorecard_id
            and by_machine.revision_id = by_person.revision_id
            and by_machine.question_id = by_person.question_id
            and by_machine.answer = by_person.answer
    group by by_machine.scorecard_id, by_machine.revision_id, by_machine.question_id
),

counted as (
    select
        scorecard_id,
        revision_id,
        question_id,
        max(question_body) as question_body,
        sum(cell_count) as label_count,
        sum(if(machine_answer = person_answer, cell_count, 0)) as agreement_count,
        array_agg(
            struct(
                machine_answer as machine_answer,
                person_answer as person_answer,
                cell_count as label_count
            )
            order by machine_answer, person_answer
        ) as confusion
    from cells
    group by scorecard_id, revision_id, question_id
),

shares as (
    select
        counted.*,
        counted.agreement_count / counted.label_count as agreement_share,
        coalesce(by_chance.product_sum, 0) / (counted.label_count * counted.label_count) as chance_share
    from counted
    left join by_chance
        on
            counted.scorecard_id = by_chance.scorecard_id
            and counted.revision_id = by_chance.revision_id
            and counted.question_id = by_chance.question_id
),

judged as (
    select
        *,
        if(chance_share = 1, null, (agreement_share - chance_share) / (1 - chance_share)) as kappa,
        if(
            chance_share = 1,
            null,
            1.96 * sqrt(agreement_share * (1 - agreement_share) / label_count) / (1 - chance_share)
        ) as kappa_margin
    from shares
),

agreement as (
    select
        {{ surrogate_key(['scorecard_id', 'revision_id', 'question_id']) }} as qa_agreement_id,
        scorecard_id,
        revision_id,
        question_id,
        question_body,
        label_count,
        agreement_count,
        {{ in_millionths('agreement_share') }} as agreement_share,
        {{ in_millionths('1 - agreement_share') }} as disagreement_share,
        {{ in_millionths('chance_share') }} as chance_share,
        {{ in_millionths('kappa') }} as kappa,
        {{ in_millionths('greatest(-1, kappa - kappa_margin)') }} as kappa_low,
        {{ in_millionths('least(1, kappa + kappa_margin)') }} as kappa_high,
        confusion
    from judged
)

select * from agreement
