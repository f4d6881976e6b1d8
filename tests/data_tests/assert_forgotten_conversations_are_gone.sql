{# Law: nothing that landed before a conversation was forgotten is left of it in any table above raw.
   It is the promise made to the person; a row left behind breaks it. Events of forgetting say that it was kept.
   An event that lands again afterwards is of the time when it ended. #}
with

kept as (
    {% for table in [
        'int_conversation_files', 'int_ci_states', 'int_analysis_findings', 'int_conversation_versions',
        'int_version_steps', 'int_transcript_turns', 'int_transcript_dynamics', 'int_disclosures_said',
        'int_custom_fields', 'conversation_custom_fields',
        'ci_conversations', 'ci_turns', 'ci_entities', 'ci_highlights', 'ci_phrase_matches', 'ci_summaries',
        'ci_analyses', 'missing_disclosures'
    ] %}
        select
            conversation_id,
            landed_at
        from {{ ref(table) }}
        union all
    {% endfor %}
    select
        conversation_id,
        least(ended_at, landed_at) as landed_at
    from {{ ref('int_pipeline_events') }}
    where step != 'forget'
    union all
    select
        conversation_id,
        landed_at
    from {{ ref('conversation_registry', v=2) }}
)

select kept.conversation_id
from kept
inner join {{ ref('int_conversations_forgotten') }} as forgotten
    on kept.conversation_id = forgotten.conversation_id
where kept.landed_at <= forgotten.forgotten_at
