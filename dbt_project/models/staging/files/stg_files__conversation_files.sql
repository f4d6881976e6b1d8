with

source as (
    select
        *,
        if(kind = 'metadata', json_query(payload, '$.labels'), null) as label_map
    from {{ source('coach_raw', 'conversation_files') }}
    where _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
),

parsed as (
    select
        {{ surrogate_key(['uri', 'generation']) }} as conversation_file_id,
        conversation_id,
        kind,
        uri,
        content_sha256,
        schema_version,
        json_value(payload, '$.direction') as direction,
        json_value(payload, '$.business_line') as business_line,
        json_value(payload, '$.medium') as medium,
        json_value(payload, '$.language_code') as language_code,
        json_value(payload, '$.queue') as queue,
        json_value(payload, '$.agent_id') as agent_id,
        json_value(payload, '$.agent_name') as agent_name,
        json_value(payload, '$.agent_team') as agent_team,
        json_value(payload, '$.agent_site') as agent_site,
        json_value(payload, '$.portfolio_id') as portfolio_id,
        json_value(payload, '$.campaign_id') as campaign_id,
        json_value(payload, '$.call_outcome') as call_outcome,
        json_value(payload, '$.call_reason') as call_reason,
        _run_id as run_id,
        generation,
        size_bytes,
        safe_cast(json_value(payload, '$.duration_sec') as float64) as duration_sec,
        if(kind = 'transcription', array_length(json_query_array(payload, '$.turns')), null) as turn_count,
        batch_date,
        safe_cast(left(json_value(payload, '$.started_at'), 10) as date) as call_date,
        safe_cast(json_value(payload, '$.started_at') as timestamp) as started_at,
        safe_cast(json_value(payload, '$.ended_at') as timestamp) as ended_at,
        _landed_at as landed_at,
        array(
            select as struct
                label_key as key,
                json_value(label_map[label_key]) as value
            from unnest(json_keys(label_map, 1)) as label_key
            order by label_key
        ) as labels
    from source
)

select * from parsed
