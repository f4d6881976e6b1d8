{# Every entity of the analysis in a landed state; the payload holds them as a map from key to entity. #}
with

source as (
    select
        conversation_id,
        payload_sha256,
        json_query(payload, '$.latestAnalysis.analysisResult.callAnalysisMetadata.entities') as entities,
        _landed_at
    from {{ source('coach_raw', 'ci_conversations') }}
    where
        _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
        and analysis_name is not null
),

unnested as (
    select
        source.conversation_id,
        source.payload_sha256,
        entity_key,
        source.entities[entity_key] as entity,
        source._landed_at
    from source
    cross join unnest(json_keys(source.entities, 1)) as entity_key
),

parsed as (
    select
        conversation_id,
        payload_sha256,
        entity_key,
        json_value(entity, '$.displayName') as entity,
        coalesce(json_value(entity, '$.type'), 'TYPE_UNSPECIFIED') as entity_type,
        {{ number_or_zero("json_value(entity, '$.salience')") }} as salience,
        {{ number_or_zero("json_value(entity, '$.sentiment.score')") }} as sentiment_score,
        {{ number_or_zero("json_value(entity, '$.sentiment.magnitude')") }} as sentiment_magnitude,
        _landed_at as landed_at
    from unnested
)

select * from parsed
