{# Law: every conversation that Insights analysed is a version in the registry.
   Costs and quality are told by the registry's columns; a stray one would be billed and never seen. #}
select conversations.conversation_id
from {{ ref('ci_conversations') }} as conversations
left join {{ ref('conversation_registry', v=2) }} as versions
    on conversations.conversation_version_id = versions.conversation_version_id
where conversations.is_analysed and versions.conversation_version_id is null
