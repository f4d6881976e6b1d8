{# Every turn of a landed state. Without text it is empty, and billed: proto3 JSON omits an empty string. #}
with

source as (
    select
        conversation_id,
        payload_sha256,
        json_query_array(payload, '$.transcript.transcriptSegments') as segments,
        safe_cast(json_value(payload, '$.startTime') as timestamp) as started_at,
        _landed_at
    from {{ source('coach_raw', 'ci_conversations') }}
    where _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
),

unnested as (
    select
        source.conversation_id,
        source.payload_sha256,
        turn_index,
        segment,
        source.started_at,
        source._landed_at
    from source
    cross join unnest(source.segments) as segment with offset as turn_index
),

parsed as (
    select
        conversation_id,
        payload_sha256,
        coalesce(json_value(segment, '$.text'), '') as text,
        json_value(segment, '$.segmentParticipant.role') as participant_role,
        json_value(segment, '$.segmentParticipant.userId') as participant_id,
        json_value(segment, '$.languageCode') as language_code,
        turn_index,
        coalesce(safe_cast(json_value(segment, '$.channelTag') as int64), 0) as channel_tag,
        array_length(json_query_array(segment, '$.words')) as word_count,
        safe_cast(json_value(segment, '$.messageTime') as timestamp) as message_at,
        started_at,
        _landed_at as landed_at
    from unnested
)

select * from parsed
