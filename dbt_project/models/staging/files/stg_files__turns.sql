{# Every turn of a landed transcript. What version 1 of the format lacks is null. #}
with

source as (
    select
        {{ surrogate_key(['uri', 'generation']) }} as conversation_file_id,
        conversation_id,
        content_sha256,
        json_query_array(payload, '$.turns') as turns,
        batch_date,
        _run_id,
        _landed_at
    from {{ source('coach_raw', 'conversation_files') }}
    where
        _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
        and kind = 'transcription'
),

unnested as (
    select
        source.*,
        turn_index,
        turn
    from source
    cross join unnest(source.turns) as turn with offset as turn_index
),

parsed as (
    select
        conversation_file_id,
        conversation_id,
        content_sha256 as transcript_sha256,
        json_value(turn, '$.speaker') as speaker,
        json_value(turn, '$.participant_id') as participant_id,
        json_value(turn, '$.text') as text,
        json_value(turn, '$.language_code') as language_code,
        _run_id as run_id,
        turn_index,
        safe_cast(json_value(turn, '$.start_offset_sec') as float64) as start_offset_sec,
        safe_cast(json_value(turn, '$.end_offset_sec') as float64) as end_offset_sec,
        safe_cast(json_value(turn, '$.confidence') as float64) as confidence,
        batch_date,
        _landed_at as landed_at
    from unnested
)

select * from parsed
