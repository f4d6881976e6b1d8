{# Law: an analysed conversation has exactly one current analysis, any other at most one.
   Sentiment and phrases are those of the current one; two would mix findings of different rules. #}
select conversations.conversation_id
from {{ ref('ci_conversations') }} as conversations
left join {{ ref('ci_analyses') }} as analyses
    on conversations.conversation_id = analyses.conversation_id
group by conversations.conversation_id, conversations.is_analysed
having countif(analyses.is_current) != if(conversations.is_analysed, 1, 0)
