{# The arc compares the first with the last third of the customer's turns; 0.2 parts a change from noise. Scores are
   whole millionths until they are shown, so that 0.3 is 0.2 more than 0.1. #}
with

sums as (
    select
        *,
        third_1_score / third_1_turn_count as first_score,
        third_2_score / nullif(third_2_turn_count, 0) as second_score,
        third_3_score / nullif(third_3_turn_count, 0) as third_score
    from {{ ref('int_turn_counts') }}
    where
        scored_turn_count > 0
        and {{ not_quarantined('conversation_id') }}
),

rounded as (
    select
        *,
        cast(round(score_sum / scored_turn_count) as int64) as mean_score,
        cast(round(coalesce(third_score, second_score, first_score)) as int64) as last_third,
        cast(round(first_score) as int64) as first_third,
        cast(
            round(
                sqrt(
                    greatest(square_sum - cast(score_sum as float64) * score_sum / scored_turn_count, 0)
                    / greatest(scored_turn_count - 1, 1)
                )
            ) as int64
        ) as spread
    from sums
),

arcs as (
    select
        rounded.conversation_id,
        rounded.conversation_version_id,
        case
            when rounded.last_third - rounded.first_third >= 200000 and rounded.first_third <= 100000
                then 'negative_to_positive'
            when rounded.first_third - rounded.last_third >= 200000 and rounded.last_third <= 100000
                then 'positive_to_negative'
            when rounded.mean_score <= -200000 then 'steady_negative'
            when rounded.mean_score >= 200000 then 'steady_positive'
            when rounded.spread >= 600000 then 'mixed'
            else 'steady_neutral'
        end as sentiment_arc,
        rounded.scored_turn_count as customer_turn_count,
        rounded.positive_turn_count,
        rounded.negative_turn_count,
        conversations.customer_sentiment_score,
        rounded.mean_score / 1000000 as mean_sentiment_score,
        rounded.lowest_score / 1000000 as lowest_sentiment_score,
        rounded.first_third / 1000000 as first_third_score,
        rounded.last_third / 1000000 as last_third_score,
        rounded.spread / 1000000 as sentiment_spread,
        rounded.batch_date
    from rounded
    left join {{ ref('ci_conversations') }} as conversations
        on rounded.conversation_id = conversations.conversation_id
)

select * from arcs
