{# Law: the dynamics of a transcript count as many turns as the file has.
   Talk shares, silence and conversation_turns rest on them; a turn that was lost reads as silence. #}
select dynamics.conversation_id
from {{ ref('int_transcript_dynamics') }} as dynamics
inner join {{ ref('int_version_files') }} as transcripts
    on
        dynamics.conversation_id = transcripts.conversation_id
        and dynamics.transcript_sha256 = transcripts.content_sha256
        and transcripts.kind = 'transcription'
where dynamics.turn_count is distinct from transcripts.turn_count
