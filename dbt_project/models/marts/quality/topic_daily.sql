with

daily as (
    select
        topics.batch_date,
        topics.issue_model_id,
        topics.issue_id,
        max(topics.topic) as topic,
        count(distinct topics.conversation_id) as conversation_count,
        {{ mean_of_micros(micros('topics.score')) }} as mean_score,
        {{ mean_of_micros(micros('conversations.customer_sentiment_score')) }} as mean_customer_sentiment_score,
        count(distinct if(conversations.customer_sentiment_score < 0, topics.conversation_id, null))
            as negative_conversation_count,
        max(topics.landed_at) as landed_at
    from {{ ref('ci_topics') }} as topics
    inner join {{ ref('ci_conversations') }} as conversations
        on topics.conversation_id = conversations.conversation_id
    where {{ not_quarantined('topics.conversation_id') }}
    group by topics.batch_date, topics.issue_model_id, topics.issue_id
),

classified as (
    select
        batch_date,
        issue_model_id,
        count(distinct conversation_id) as classified_conversation_count
    from {{ ref('ci_topics') }}
    where {{ not_quarantined('conversation_id') }}
    group by batch_date, issue_model_id
),

topics as (
    select
        {{ surrogate_key(['daily.batch_date', 'daily.issue_model_id', 'daily.issue_id']) }} as topic_day_id,
        daily.issue_model_id,
        daily.issue_id,
        daily.topic,
        daily.conversation_count,
        classified.classified_conversation_count,
        safe_divide(daily.conversation_count, classified.classified_conversation_count) as conversation_share,
        daily.negative_conversation_count,
        daily.mean_score,
        daily.mean_customer_sentiment_score,
        daily.batch_date,
        daily.landed_at
    from daily
    inner join classified
        on daily.batch_date = classified.batch_date and daily.issue_model_id = classified.issue_model_id
)

select * from topics
