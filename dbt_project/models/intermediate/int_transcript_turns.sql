{{
    config(
        materialized='incremental',
        unique_key='transcript_turn_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        merge_exclude_columns=['batch_date', 'landed_at', 'run_id'],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# Turns by content: a transcript that lands again, or in another folder, has its rows already. They stay when a later
   version takes its place, since it may return without landing again. #}
with

landed as (
    select *
    from {{ ref('stg_files__turns') }}
    where landed_at >= {{ landed_from() }}
),

known as (
    select landed.*
    from landed
    left join {{ ref('int_conversations_forgotten') }} as forgotten
        on
            landed.conversation_id = forgotten.conversation_id
            and landed.landed_at <= forgotten.forgotten_at
    where forgotten.conversation_id is null
),

first_landed as (
    select
        {{ surrogate_key(['conversation_id', 'transcript_sha256', 'turn_index']) }} as transcript_turn_id,
        conversation_id,
        transcript_sha256,
        speaker,
        participant_id,
        text,
        language_code,
        run_id,
        turn_index,
        array_length(regexp_extract_all(text, r'\S+')) as word_count,
        start_offset_sec,
        end_offset_sec,
        confidence,
        batch_date,
        landed_at
    from known
    {{ latest_by('transcript_turn_id', 'landed_at, run_id, conversation_file_id') }}
)

select * from first_landed
