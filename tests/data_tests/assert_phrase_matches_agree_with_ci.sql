{# Law: ci_phrase_matches and Insights' own annotations name the same matcher on the same turns.
   Compliance counts depend on it; a difference means that phrases were derived for the wrong state.
   For states that landed within seven days the annotations are those of the raw payload, so that a loss on the
   way to the mart shows. For older ones, judged so when they landed, they are those in int_analysis_findings:
   reading every payload in every build is too dear.
   A conversation in quarantine isn't asked: its annotations may point at turns that aren't there. #}
{%- set lately = 'timestamp_sub(current_timestamp(), interval 7 day)' -%}
with

conversations as (
    select
        conversation_id,
        analysis_id,
        payload_sha256
    from {{ ref('ci_conversations') }}
),

landed_lately as (
    select
        conversation_id,
        payload_sha256
    from {{ ref('stg_ci__conversations') }}
    where landed_at >= {{ lately }}
    group by conversation_id, payload_sha256
),

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
        conversations.conversation_id,
        regexp_extract(annotations.phrase_matcher_name, r'/phraseMatchers/([^@/]+)') as phrase_matcher_id,
        annotations.turn_index
    from conversations
    inner join {{ ref('stg_ci__annotations') }} as annotations
        on
            conversations.conversation_id = annotations.conversation_id
            and conversations.payload_sha256 = annotations.payload_sha256
    where annotations.landed_at >= {{ lately }} and annotations.annotation_type = 'phrase_match'
    union distinct
    select
        conversations.conversation_id,
        annotations.phrase_matcher_id,
        annotations.turn_index
    from conversations
    inner join {{ ref('int_phrase_annotations') }} as annotations
        on
            conversations.conversation_id = annotations.conversation_id
            and conversations.analysis_id = annotations.analysis_id
    left join landed_lately
        on
            conversations.conversation_id = landed_lately.conversation_id
            and conversations.payload_sha256 = landed_lately.payload_sha256
    where landed_lately.conversation_id is null
)

select coalesce(derived.conversation_id, annotated.conversation_id) as conversation_id
from derived
full outer join annotated
    on
        derived.conversation_id = annotated.conversation_id
        and derived.phrase_matcher_id = annotated.phrase_matcher_id
        and derived.turn_index = annotated.turn_index
where
    (derived.conversation_id is null or annotated.conversation_id is null)
    and {{ not_quarantined('coalesce(derived.conversation_id, annotated.conversation_id)') }}
