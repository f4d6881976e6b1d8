{# Law: ci_phrase_matches and CI's own annotations name the same matcher on the same turns.
   Compliance counts depend on it; a difference means that phrases were derived for the wrong state. #}
with

derived as (
    select
        conversation_id,
        phrase_matcher_id,
        turn_index
    from {{ ref('ci_phrase_matches') }}
    group by conversation_id, phrase_matcher_id, turn_index
),

annotated as (
    select
        annotations.conversation_id,
        annotations.phrase_matcher_id,
        annotations.turn_index
    from {{ ref('int_phrase_annotations') }} as annotations
    inner join {{ ref('ci_conversations') }} as conversations
        on
            annotations.conversation_id = conversations.conversation_id
            and annotations.analysis_id = conversations.analysis_id
    group by annotations.conversation_id, annotations.phrase_matcher_id, annotations.turn_index
)

select coalesce(derived.conversation_id, annotated.conversation_id) as conversation_id
from derived
full outer join annotated
    on
        derived.conversation_id = annotated.conversation_id
        and derived.phrase_matcher_id = annotated.phrase_matcher_id
        and derived.turn_index = annotated.turn_index
where derived.conversation_id is null or annotated.conversation_id is null
