{# Labels are made by people, so they are few: rebuilt. Those of conversations that are gone go with them. #}
with

labels as (
    select
        labels.feedback_label_id,
        labels.conversation_id,
        labels.label_name,
        labels.labeled_resource,
        regexp_extract(labels.labeled_resource, r'/qaScorecards/([^/]+)') as scorecard_id,
        regexp_extract(labels.labeled_resource, r'/revisions/([^/]+)') as revision_id,
        regexp_extract(labels.labeled_resource, r'/qaQuestions/([^/]+)$') as question_id,
        regexp_extract(labels.labeled_resource, r'/issueModels/([^/]+)') as issue_model_id,
        labels.label,
        labels.answer_key,
        labels.text_value,
        labels.number_value,
        labels.bool_value,
        labels.is_na,
        labels.score,
        labels.potential_score,
        labels.normalized_score,
        if(labels.is_answer, {{ qa_answer('labels') }}, null) as answer,
        conversations.batch_date,
        labels.labelled_at,
        labels.label_updated_at,
        labels.landed_at
    from {{ ref('stg_labels__feedback_labels') }} as labels
    inner join {{ ref('ci_conversations') }} as conversations
        on labels.conversation_id = conversations.conversation_id
)

select * from labels
