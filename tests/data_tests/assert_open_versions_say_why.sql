{# Law: a current version is analysed, or open_reason says why not; never both, never neither.
   The work list of the team is made of it; a silent one would wait for ever. #}
select conversation_version_id
from {{ ref('conversation_registry', v=2) }}
where is_current and (status = 'analysed') != (open_reason is null)
