{# What one run landed of a conversation: the newest metadata and transcript among its files. #}
with

files as (
    select *
    from {{ ref('int_conversation_files') }}
),

runs as (
    select
        conversation_id,
        run_id,
        max_by(content_sha256, if(kind = 'metadata', generation, null)) as metadata_sha256,
        max_by(content_sha256, if(kind = 'transcription', generation, null)) as transcript_sha256,
        max(generation) as state_order,
        max_by(batch_date, generation) as batch_date,
        max(landed_at) as landed_at
    from files
    group by conversation_id, run_id
)

select * from runs
