{{ config(materialized='view') }}
{# A view: its rows stand in int_transcript_turns, which has those of earlier versions too. #}
with

current_turns as (
    select
        {{ surrogate_key(['turns.conversation_id', 'turns.turn_index']) }} as turn_id,
        turns.conversation_id,
        versions.conversation_version_id,
        turns.transcript_sha256,
        turns.speaker,
        turns.participant_id,
        turns.text,
        turns.language_code,
        turns.turn_index,
        turns.word_count,
        turns.start_offset_sec,
        turns.end_offset_sec,
        turns.confidence,
        versions.batch_date,
        turns.landed_at
    from {{ ref('int_transcript_turns') }} as turns
    inner join {{ ref('int_conversation_versions') }} as versions
        on
            turns.conversation_id = versions.conversation_id
            and turns.transcript_sha256 = versions.transcript_sha256
    where versions.is_current
)

select * from current_turns
