with

source as (
    select
        conversation_id,
        payload_sha256,
        json_query(payload, '$.latestSummary') as summary,
        json_query(payload, '$.latestSummary.textSections') as sections,
        _landed_at
    from {{ source('coach_raw', 'ci_conversations') }}
    where _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
),

parsed as (
    select
        conversation_id,
        payload_sha256,
        json_value(summary, '$.text') as text,
        json_value(sections, '$.situation') as situation,
        json_value(sections, '$.action') as action,
        json_value(sections, '$.resolution') as resolution,
        json_value(summary, '$.answerRecord') as answer_record,
        json_value(summary, '$.conversationModel') as conversation_model,
        safe_cast(json_value(summary, '$.confidence') as float64) as confidence,
        array(
            select as struct
                section_key as key,
                json_value(sections[section_key]) as value
            from unnest(json_keys(sections, 1)) as section_key
            order by section_key
        ) as text_sections,
        _landed_at as landed_at
    from source
    where summary is not null
)

select * from parsed
