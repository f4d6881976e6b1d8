{# Law: each conversation has exactly one current version.
   Every join on is_current depends on it; two would double a conversation in each mart, none lose it. #}
select conversation_id
from {{ ref('conversation_registry', v=2) }}
group by conversation_id
having countif(is_current) != 1
