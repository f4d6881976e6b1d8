{{
    config(
        materialized='incremental',
        unique_key='transcript_turn_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# Turns by content: a transcript that lands again, or in another folder, has its rows already. They stay when a later
   version takes its place, since it may return without landing again. #}
{%- set landed_from = landed_from() %}
{%- set within = in_days(landed_from) %}
with

landed as (
    select *
    from {{ ref('stg_files__turns') }}
    where
        landed_at >= {{ landed_from }}{{ landed_until() }}
        and {{ within }}
        and {{ is_indexed(landed_from, within) }}
),

known as (
    {{ unforgotten('landed') }}
),

first_files as (
    {{ first_files('transcription', within) }}
),

first_landed as (
    select
        {{ surrogate_key([
            'known.conversation_id', 'known.transcript_sha256', 'known.turn_index'
        ]) }} as transcript_turn_id,
        known.conversation_id,
        known.transcript_sha256,
        known.speaker,
        known.participant_id,
        known.text,
        known.language_code,
        coalesce(first_files.run_id, known.run_id) as run_id,
        known.turn_index,
        array_length(regexp_extract_all(known.text, r'\S+')) as word_count,
        known.start_offset_sec,
        known.end_offset_sec,
        known.confidence,
        coalesce(first_files.batch_date, known.batch_date) as batch_date,
        coalesce(first_files.landed_at, known.landed_at) as landed_at
    from known
    left join first_files
        on
            known.conversation_id = first_files.conversation_id
            and known.transcript_sha256 = first_files.content_sha256
    {{ latest_by('transcript_turn_id', 'known.landed_at, known.run_id, known.conversation_file_id') }}
)

select * from first_landed
