{# Law: by transcript_version_id every analysis joins a version, and every analysed version its latest analysis.
   Who corrects metadata makes a version of the same words; its findings are those of the analysis before. #}
select analyses.analysis_id
from {{ ref('ci_analyses') }} as analyses
left join {{ ref('conversation_registry', v=2) }} as versions
    on analyses.transcript_version_id = versions.transcript_version_id
where versions.conversation_version_id is null
union distinct
select versions.conversation_version_id
from {{ ref('conversation_registry', v=2) }} as versions
left join {{ ref('ci_analyses') }} as analyses
    on
        versions.transcript_version_id = analyses.transcript_version_id
        and versions.ci_analysis_id = analyses.analysis_id
where versions.status = 'analysed' and analyses.analysis_id is null
