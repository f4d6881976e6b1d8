{# Law: nothing that landed before a conversation was forgotten is left of it in any mart.
   It is the promise made to the person; a row left behind breaks it. #}
with

kept as (
    select
        conversation_id,
        landed_at
    from {{ ref('conversation_registry', v=2) }}
    union all
    select
        conversation_id,
        landed_at
    from {{ ref('ci_conversations') }}
    union all
    select
        conversation_id,
        landed_at
    from {{ ref('ci_turns') }}
    union all
    select
        conversation_id,
        landed_at
    from {{ ref('ci_phrase_matches') }}
    union all
    select
        conversation_id,
        landed_at
    from {{ ref('ci_analyses') }}
)

select kept.conversation_id
from kept
inner join {{ ref('int_conversations_forgotten') }} as forgotten
    on kept.conversation_id = forgotten.conversation_id
where kept.landed_at <= forgotten.forgotten_at
