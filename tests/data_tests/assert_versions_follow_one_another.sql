{# Law: the current version is open-ended, and no version ends before it began.
   "What was in force on that day" is answered by valid_from and valid_to. #}
select conversation_version_id
from {{ ref('conversation_registry', v=2) }}
where is_current != (valid_to is null) or valid_to < valid_from
