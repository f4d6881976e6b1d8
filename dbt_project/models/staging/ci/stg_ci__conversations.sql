{# Every landed state of an Insights conversation. Absent means zero in the payload: proto3 JSON omits it.
   The customer's channel is the one that Insights states, else the one on which the transcript's customer speaks. #}
with

source as (
    select
        *,
        json_query(payload, '$.labels') as label_map,
        json_query(payload, '$.qualityMetadata.agentInfo[0]') as agent,
        json_query(payload, '$.latestAnalysis.analysisResult.callAnalysisMetadata.sentiments') as sentiments,
        json_query_array(payload, '$.transcript.transcriptSegments') as segments
    from {{ source('coach_raw', 'ci_conversations') }}
    where _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
),

channelled as (
    select
        *,
        coalesce(
            json_value(payload, '$.callMetadata.customerChannel'),
            (
                select min(coalesce(json_value(segment, '$.channelTag'), '0'))
                from unnest(segments) as segment
                where json_value(segment, '$.segmentParticipant.role') = 'END_USER'
            )
        ) as customer_channel
    from source
),

parsed as (
    select
        {{ surrogate_key(['conversation_id', 'payload_sha256']) }} as ci_state_id,
        conversation_id,
        payload_sha256,
        ci_name,
        regexp_extract(analysis_name, r'([^/]+)$') as analysis_id,
        annotator_profile_sha256,
        json_value(label_map, '$.metadata_sha256') as metadata_sha256,
        json_value(label_map, '$.transcript_sha256') as transcript_sha256,
        json_value(payload, '$.dataSource.gcsSource.transcriptUri') as ci_transcript_uri,
        json_value(payload, '$.languageCode') as language_code,
        coalesce(json_value(payload, '$.medium'), 'PHONE_CALL') as medium,
        json_value(payload, '$.agentId') as agent_id,
        json_value(agent, '$.displayName') as agent_name,
        json_value(agent, '$.teams[0]') as agent_team,
        json_value(agent, '$.location') as agent_site,
        json_value(label_map, '$.direction') as direction,
        json_value(label_map, '$.business_line') as business_line,
        json_value(label_map, '$.queue') as queue,
        json_value(label_map, '$.call_outcome') as call_outcome,
        json_value(label_map, '$.portfolio_id') as portfolio_id,
        json_value(label_map, '$.campaign_id') as campaign_id,
        json_value(payload, '$.obfuscatedUserId') as obfuscated_user_id,
        _run_id as run_id,
        coalesce(safe_cast(json_value(payload, '$.turnCount') as int64), 0) as turn_count,
        (
            select min({{ number_or_zero("json_value(sentiment, '$.sentimentData.score')") }})
            from unnest(json_query_array(sentiments)) as sentiment
            where coalesce(json_value(sentiment, '$.channelTag'), '0') = customer_channel
        ) as customer_sentiment_score,
        (
            select min({{ number_or_zero("json_value(sentiment, '$.sentimentData.magnitude')") }})
            from unnest(json_query_array(sentiments)) as sentiment
            where coalesce(json_value(sentiment, '$.channelTag'), '0') = customer_channel
        ) as customer_sentiment_magnitude,
        safe_cast(regexp_extract(json_value(payload, '$.duration'), r'^([0-9.]+)s$') as float64) as duration_sec,
        coalesce(
            safe_cast(json_value(label_map, '$.batch_date') as date),
            safe_cast(substr(json_value(payload, '$.createTime'), 1, 10) as date)
        ) as batch_date,
        safe_cast(json_value(payload, '$.startTime') as timestamp) as started_at,
        safe_cast(json_value(payload, '$.createTime') as timestamp) as ci_created_at,
        ci_updated_at,
        safe_cast(json_value(payload, '$.expireTime') as timestamp) as expires_at,
        safe_cast(json_value(payload, '$.latestAnalysis.requestTime') as timestamp) as analysis_requested_at,
        if(
            analysis_name is null,
            null,
            coalesce(
                safe_cast(json_value(payload, '$.latestAnalysis.createTime') as timestamp),
                safe_cast(json_value(payload, '$.latestAnalysis.requestTime') as timestamp),
                ci_updated_at
            )
        ) as analysed_at,
        _landed_at as landed_at,
        array(
            select as struct
                label_key as key,
                json_value(label_map[label_key]) as value
            from unnest(json_keys(label_map, 1)) as label_key
            order by label_key
        ) as labels
    from channelled
)

select * from parsed
