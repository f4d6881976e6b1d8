{# Law: the turns of a conversation are 0..n-1, each once, n being the turns of the version's transcript as it was
   handed in, and CI's own count.
   Annotations find their turn by index; a lost turn would shift phrases and sentiment to a neighbour. #}
with

turns as (
    select
        conversation_id,
        min(turn_index) as first_index,
        max(turn_index) as last_index,
        count(*) as turn_count,
        count(distinct turn_index) as index_count
    from {{ ref('ci_turns') }}
    group by conversation_id
)

select conversations.conversation_id
from {{ ref('ci_conversations') }} as conversations
left join turns
    on conversations.conversation_id = turns.conversation_id
left join {{ ref('conversation_registry', v=2) }} as versions
    on conversations.conversation_version_id = versions.conversation_version_id
where
    coalesce(turns.turn_count, 0) != conversations.turn_count
    or coalesce(turns.turn_count, 0) != coalesce(versions.turn_count, conversations.turn_count)
    or coalesce(turns.index_count, 0) != conversations.turn_count
    or coalesce(turns.first_index, 0) != 0
    or coalesce(turns.last_index, -1) != conversations.turn_count - 1
