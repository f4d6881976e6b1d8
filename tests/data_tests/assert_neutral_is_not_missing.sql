{# Law: in an analysed conversation every customer turn has a sentiment, no other turn has one, and CI sent
   as many as the customer has turns.
   CI sends a neutral turn as an empty message; read as missing, every average would lean to the extremes. #}
with

turns as (
    select
        conversation_id,
        countif(speaker = 'CUSTOMER') as customer_turn_count,
        countif((speaker = 'CUSTOMER') != (customer_sentiment_score is not null)) as wrong_turn_count
    from {{ ref('ci_turns') }}
    group by conversation_id
)

select conversations.conversation_id
from {{ ref('ci_conversations') }} as conversations
left join turns
    on conversations.conversation_id = turns.conversation_id
left join {{ ref('int_analysis_findings') }} as findings
    on conversations.analysis_id = findings.analysis_id
where
    conversations.is_analysed
    and (
        turns.wrong_turn_count > 0
        or coalesce(turns.customer_turn_count, 0) != coalesce(findings.sentiment_turn_count, -1)
    )
