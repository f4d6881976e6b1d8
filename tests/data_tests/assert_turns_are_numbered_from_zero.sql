{# Law: the turns of a conversation are 0..n-1, n being CI's turn count.
   Annotations find their turn by index; a lost turn would shift phrases and sentiment to a neighbour. #}
with

turns as (
    select
        conversation_id,
        min(turn_index) as first_index,
        max(turn_index) as last_index,
        count(*) as turn_count
    from {{ ref('ci_turns') }}
    group by conversation_id
)

select conversations.conversation_id
from {{ ref('ci_conversations') }} as conversations
left join turns
    on conversations.conversation_id = turns.conversation_id
where
    coalesce(turns.turn_count, 0) != conversations.turn_count
    or coalesce(turns.first_index, 0) != 0
    or coalesce(turns.last_index, -1) != conversations.turn_count - 1
