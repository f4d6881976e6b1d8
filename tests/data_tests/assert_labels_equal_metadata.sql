{# Law: what CI's labels say about a version is what its metadata says.
   Filters in CI's console and in the warehouse must find the same calls. #}
select conversations.conversation_id
from {{ ref('ci_conversations') }} as conversations
inner join {{ ref('conversation_registry', v=2) }} as versions
    on conversations.conversation_version_id = versions.conversation_version_id
where
    conversations.direction is distinct from versions.direction
    or conversations.business_line is distinct from versions.business_line
    or conversations.medium is distinct from versions.medium
    or conversations.queue is distinct from versions.queue
    or conversations.agent_id is distinct from versions.agent_id
    or conversations.call_outcome is distinct from versions.call_outcome
    or conversations.started_at is distinct from versions.started_at
