{# The arc compares the first with the last third of the customer's turns; 0.2 parts a change from noise. #}
with

customer_turns as (
    select
        conversation_id,
        conversation_version_id,
        batch_date,
        customer_sentiment_score as score,
        ntile(3) over (partition by conversation_id order by turn_index) as third
    from {{ ref('ci_turns') }}
    where customer_sentiment_score is not null
),

thirds as (
    select
        conversation_id,
        conversation_version_id,
        batch_date,
        count(*) as customer_turn_count,
        countif(score > 0) as positive_turn_count,
        countif(score < 0) as negative_turn_count,
        avg(score) as mean_sentiment_score,
        min(score) as lowest_sentiment_score,
        avg(if(third = 1, score, null)) as first_third_score,
        coalesce(avg(if(third = 3, score, null)), avg(if(third = 2, score, null)), avg(score)) as last_third_score,
        coalesce(stddev(score), 0) as sentiment_spread
    from customer_turns
    group by conversation_id, conversation_version_id, batch_date
),

arcs as (
    select
        conversation_id,
        conversation_version_id,
        case
            when last_third_score - first_third_score >= 0.2 and first_third_score <= 0.1 then 'negative_to_positive'
            when first_third_score - last_third_score >= 0.2 and last_third_score <= 0.1 then 'positive_to_negative'
            when mean_sentiment_score <= -0.2 then 'steady_negative'
            when mean_sentiment_score >= 0.2 then 'steady_positive'
            when sentiment_spread >= 0.6 then 'mixed'
            else 'steady_neutral'
        end as sentiment_arc,
        customer_turn_count,
        positive_turn_count,
        negative_turn_count,
        mean_sentiment_score,
        lowest_sentiment_score,
        first_third_score,
        last_third_score,
        sentiment_spread,
        batch_date
    from thirds
)

select * from arcs
