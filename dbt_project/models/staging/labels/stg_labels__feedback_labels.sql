{# What people labelled. A label that was changed counts as it is now; one that was deleted doesn't. #}
with

source as (
    select *
    from {{ source('coach_raw', 'feedback_labels') }}
    where _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
),

latest as (
    select *
    from source
    {{ latest_by('label_name', '_landed_at desc, payload_sha256') }}
),

parsed as (
    select
        {{ surrogate_key(['label_name']) }} as feedback_label_id,
        conversation_id,
        label_name,
        json_value(payload, '$.labeledResource') as labeled_resource,
        json_value(payload, '$.label') as label,
        json_query(payload, '$.qaAnswerLabel') is not null as is_answer,
        json_value(payload, '$.qaAnswerLabel.key') as answer_key,
        json_value(payload, '$.qaAnswerLabel.strValue') as text_value,
        safe_cast(json_value(payload, '$.qaAnswerLabel.numValue') as float64) as number_value,
        safe_cast(json_value(payload, '$.qaAnswerLabel.boolValue') as bool) as bool_value,
        'true' in (
            coalesce(json_value(payload, '$.qaAnswerLabel.naValue'), ''),
            coalesce(json_value(payload, '$.qaAnswerLabel.skipValue'), '')
        ) as is_na,
        {{ points_of('payload', 'qaAnswerLabel.') }},
        safe_cast(json_value(payload, '$.createTime') as timestamp) as labelled_at,
        safe_cast(json_value(payload, '$.updateTime') as timestamp) as label_updated_at,
        _landed_at as landed_at
    from latest
    where not is_deleted
)

select * from parsed
