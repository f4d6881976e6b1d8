{# Every annotation of the analysis in a landed state; they come in no order, and an index 0 is absent. #}
with

source as (
    select
        conversation_id,
        payload_sha256,
        analysis_name,
        json_query_array(
            payload, '$.latestAnalysis.analysisResult.callAnalysisMetadata.annotations'
        ) as annotations,
        json_query(payload, '$.latestAnalysis.analysisResult.callAnalysisMetadata.intents') as intents,
        json_query(payload, '$.latestAnalysis.analysisResult.callAnalysisMetadata.phraseMatchers') as matchers,
        safe_cast(json_value(payload, '$.latestAnalysis.requestTime') as timestamp) as analysis_requested_at,
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
        source.analysis_name,
        annotation,
        json_value(annotation, '$.intentMatchData.intentUniqueId') as intent_id,
        json_value(annotation, '$.phraseMatchData.phraseMatcher') as phrase_matcher_name,
        source.intents,
        source.matchers,
        source.analysis_requested_at,
        source._landed_at
    from source
    cross join unnest(source.annotations) as annotation
),

parsed as (
    select
        conversation_id,
        payload_sha256,
        regexp_extract(analysis_name, r'([^/]+)$') as analysis_id,
        case
            when json_query(annotation, '$.sentimentData') is not null then 'sentiment'
            when json_query(annotation, '$.phraseMatchData') is not null then 'phrase_match'
            when json_query(annotation, '$.intentMatchData') is not null then 'intent'
            when json_query(annotation, '$.entityMentionData') is not null then 'entity_mention'
            when json_query(annotation, '$.issueMatchData') is not null then 'issue'
            when json_query(annotation, '$.silenceData') is not null then 'silence'
            when json_query(annotation, '$.interruptionData') is not null then 'interruption'
            when json_query(annotation, '$.holdData') is not null then 'hold'
            else 'unknown'
        end as annotation_type,
        phrase_matcher_name,
        coalesce(
            json_value(annotation, '$.phraseMatchData.displayName'),
            json_value(matchers[phrase_matcher_name], '$.displayName'),
            regexp_extract(phrase_matcher_name, r'/phraseMatchers/([^@/]+)')
        ) as phrase_matcher,
        intent_id,
        json_value(intents[intent_id], '$.displayName') as highlight,
        json_value(annotation, '$.entityMentionData.entityUniqueId') as entity_key,
        json_value(annotation, '$.entityMentionData.type') as mention_type,
        coalesce(safe_cast(json_value(annotation, '$.channelTag') as int64), 0) as channel_tag,
        coalesce(safe_cast(json_value(annotation, '$.annotationStartBoundary.transcriptIndex') as int64), 0)
            as turn_index,
        coalesce(safe_cast(json_value(annotation, '$.annotationEndBoundary.transcriptIndex') as int64), 0)
            as end_turn_index,
        coalesce(safe_cast(json_value(annotation, '$.annotationStartBoundary.wordIndex') as int64), 0)
            as start_word_index,
        coalesce(safe_cast(json_value(annotation, '$.annotationEndBoundary.wordIndex') as int64), 0)
            as end_word_index,
        {{ number_or_zero("json_value(annotation, '$.sentimentData.score')") }} as sentiment_score,
        {{ number_or_zero("json_value(annotation, '$.sentimentData.magnitude')") }} as sentiment_magnitude,
        {{ number_or_zero("json_value(annotation, '$.entityMentionData.sentiment.score')") }}
            as mention_sentiment_score,
        analysis_requested_at,
        _landed_at as landed_at
    from unnested
)

select * from parsed
