{{ config(materialized='view') }}
{# Google's own export: names, types and modes of its version 3, then later columns that the API's JSON
   can fill. Times ending in Utc are epoch seconds, Nanos are nanoseconds. Audio columns are null for text. #}
with

entities as (
    select
        conversation_id,
        array_agg(
            struct(
                entity as name,
                entity_type as type,
                sentiment_score as sentimentScore,
                sentiment_magnitude as sentimentMagnitude,
                salience as salience,
                cast(null as int64) as speakerTag
            )
            order by salience desc, entity_key asc
        ) as entities
    from {{ ref('ci_entities') }}
    group by conversation_id
),

issues as (
    select
        conversation_id,
        array_agg(
            struct(topic as name, score as score, issue_model_id as issueModelId, issue_id as issueId)
            order by score desc, conversation_topic_id asc
        ) as issues
    from {{ ref('ci_topics') }}
    group by conversation_id
),

scores as (
    select
        conversation_id,
        array_agg(
            {{ exported_scores('results') }}
            order by results.revision_name, results.qa_result_id
        ) as qaScorecardResults
    from {{ ref('ci_qa_results') }} as results
    group by conversation_id
),

feedback as (
    select
        conversation_id,
        array_agg(
            struct(
                label_name as name,
                label as label,
                labeled_resource as labeledResource,
                if(answer is null, null, {{ exported_answer('labels') }}) as qaAnswerLabel,
                cast(null as struct<answerValues array<struct<
                    boolValue bool, key string, naValue bool, normalizedScore float64, numericValue float64,
                    potentialScore float64, qaAnswerRationale struct<rationale string>, score float64,
                    stringValue string
                >>>) as qaAnswerValuesLabel
            )
            order by label_name
        ) as feedbackLabels
    from {{ ref('ci_feedback_labels') }} as labels
    group by conversation_id
),

exported as (
    select
        conversations.ci_name as conversationName,
        cast(null as string) as audioFileUri,
        conversations.agent_id as agentId,
        cast(null as string) as dialogflowConversationProfileId,
        unix_seconds(conversations.started_at) as startTimestampUtc,
        unix_seconds(conversations.ci_created_at) as loadTimestampUtc,
        unix_seconds(conversations.analysed_at) as analysisTimestampUtc,
        extract(year from conversations.ci_created_at) as year,
        extract(month from conversations.ci_created_at) as month,
        extract(day from conversations.ci_created_at) as day,
        cast(round(conversations.duration_sec * 1000) as int64) * 1000000 as durationNanos,
        cast(null as int64) as silenceNanos,
        cast(null as float64) as silencePercentage,
        cast(null as float64) as agentSpeakingPercentage,
        cast(null as float64) as clientSpeakingPercentage,
        if(conversations.is_analysed, 0.0, null) as agentSentimentScore,
        if(conversations.is_analysed, 0.0, null) as agentSentimentMagnitude,
        conversations.customer_sentiment_score as clientSentimentScore,
        conversations.customer_sentiment_magnitude as clientSentimentMagnitude,
        nested.transcript,
        conversations.turn_count as turnCount,
        conversations.language_code as languageCode,
        conversations.medium,
        issues.issues,
        entities.entities,
        conversations.labels,
        nested_words.words,
        nested.sentences,
        if(
            summaries.summary is null,
            null,
            struct(
                summaries.summary as text,
                summaries.text_sections as textSections,
                summaries.confidence as confidence,
                cast([] as array<struct<key string, value string>>) as metadata,
                summaries.answer_record as answerRecord,
                summaries.conversation_model as conversationModel
            )
        ) as latestSummary,
        [struct(
            conversations.agent_id as agentId,
            conversations.agent_name as agentDisplayName,
            conversations.agent_team as agentTeam
        )] as agents,
        scores.qaScorecardResults,
        feedback.feedbackLabels,
        unix_seconds(conversations.ci_updated_at) as conversationUpdateTimestampUtc,
        conversations.started_at as startTimestamp,
        conversations.expires_at as conversationExpiryTime,
        conversations.ci_updated_at as conversationUpdateTime,
        conversations.obfuscated_user_id as obfuscatedUserId
    from {{ ref('ci_conversations') }} as conversations
    left join {{ ref('int_export_sentences') }} as nested
        on conversations.conversation_id = nested.conversation_id
    left join {{ ref('int_export_words') }} as nested_words
        on conversations.conversation_id = nested_words.conversation_id
    left join entities
        on conversations.conversation_id = entities.conversation_id
    left join issues
        on conversations.conversation_id = issues.conversation_id
    left join scores
        on conversations.conversation_id = scores.conversation_id
    left join feedback
        on conversations.conversation_id = feedback.conversation_id
    left join {{ ref('ci_summaries') }} as summaries
        on conversations.conversation_id = summaries.conversation_id
)

select * from exported
