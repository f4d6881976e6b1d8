{# Law: a version with a landed analysis is analysed for good, whatever events come later.
   Work lists and costs depend on it; a version that fell back would be analysed, and billed, again. #}
select versions.conversation_version_id
from {{ ref('conversation_registry', v=2) }} as versions
inner join {{ ref('int_ci_states') }} as states
    on versions.conversation_version_id = states.conversation_version_id
inner join {{ ref('conversation_statuses') }} as statuses
    on versions.status = statuses.status
where
    (states.analysis_id is not null and versions.status != 'analysed')
    or (statuses.progress < 2 and versions.status != 'failed')
    or versions.submitted_at > versions.analysed_at
