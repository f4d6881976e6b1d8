{# Law: in an analysed conversation every customer turn has a sentiment, and no other turn has one.
   CI sends a neutral turn as an empty message; read as missing, every average would lean to the extremes. #}
select turns.turn_id
from {{ ref('ci_turns') }} as turns
inner join {{ ref('ci_conversations') }} as conversations
    on turns.conversation_id = conversations.conversation_id
where
    conversations.is_analysed
    and (turns.speaker = 'CUSTOMER') != (turns.customer_sentiment_score is not null)
