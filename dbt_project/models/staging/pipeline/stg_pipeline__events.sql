with

source as (
    select *
    from {{ source('coach_raw', 'pipeline_events') }}
    where _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
),

renamed as (
    select
        event_id,
        conversation_id,
        {{ surrogate_key(['conversation_id', 'metadata_sha256', 'transcript_sha256']) }} as conversation_version_id,
        step,
        outcome,
        reason,
        resource_name,
        error_code,
        error_message,
        _run_id as run_id,
        attempt,
        timestamp_diff(ended_at, started_at, millisecond) / 1000 as latency_sec,
        coalesce(batch_date, date(started_at)) as batch_date,
        if(step = 'forget', date '1970-01-01', coalesce(batch_date, date(started_at))) as kept_date,
        started_at,
        ended_at,
        _landed_at as landed_at
    from source
)

select * from renamed
