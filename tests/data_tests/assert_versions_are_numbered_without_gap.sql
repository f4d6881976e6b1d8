{# Law: the versions of a conversation are numbered 1..n without gap.
   Who asks for "the version before" depends on it; a gap is a version that was lost or made twice. #}
select conversation_id
from {{ ref('conversation_registry', v=2) }}
group by conversation_id
having min(version_number) != 1 or max(version_number) != count(*) or count(distinct version_number) != count(*)
