{# The nested half of Google's export: sentences with their highlights, words, whole transcript. #}
with

hits as (
    select
        turn_id,
        array_agg(
            if(hit_type = 'SMART', struct(hit_id as intentId, display_name as displayName), null)
            ignore nulls
            order by hit_id
        ) as intentMatchData,
        array_agg(
            if(
                hit_type = 'CUSTOM',
                struct(hit_id as phraseMatcherId, revision_id as revisionId, display_name as displayName),
                null
            )
            ignore nulls
            order by hit_id
        ) as phraseMatchData,
        array_agg(
            struct(hit_id as highlighterName, display_name as displayName, hit_type as type)
            order by hit_type, hit_id
        ) as highlightData
    from {{ ref('int_turn_hits') }}
    group by turn_id
),

sentences as (
    select
        turns.conversation_id,
        string_agg(turns.text, '\n' order by turns.turn_index) as transcript,
        array_agg(
            struct(
                turns.text as sentence,
                turns.customer_sentiment_score as sentimentScore,
                turns.customer_sentiment_magnitude as sentimentMagnitude,
                turns.channel_tag as speakerTag,
                turns.language_code as languageCode,
                cast(null as int64) as startOffsetNanos,
                cast(null as int64) as endOffsetNanos,
                unix_micros(turns.message_at) * 1000 as createTimeNanos,
                turns.participant_id as participantId,
                turns.participant_role as participantRole,
                cast(null as string) as obfuscatedExternalUserId,
                cast(null as bool) as isCoveredBySmartReplyAllowlist,
                cast([] as array<struct<
                    annotationRecord json, createTimeNanos int64, type string, clicked bool,
                    correctnessLevel string, displayed bool, detailedFeedback json
                >>) as annotations,
                hits.intentMatchData as intentMatchData,
                hits.phraseMatchData as phraseMatchData,
                hits.highlightData as highlightData,
                cast([] as array<struct<intentName string, displayName string, maxConfidence float64>>)
                    as dialogflowIntentMatchData
            )
            order by turns.turn_index
        ) as sentences
    from {{ ref('ci_turns') }} as turns
    left join hits
        on turns.turn_id = hits.turn_id
    group by turns.conversation_id
)

select * from sentences
