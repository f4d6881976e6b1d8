{{
    config(
        materialized='incremental',
        unique_key='disclosure_said_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['literal_range:batch_date', 'whole_conversations'],
        post_hook="{{ delete_superseded() }}"
    )
}}
{# Looked for in the text with today's rules, not taken from CI's matches, so that a conversation whose
   analysis ran without the matcher isn't judged silent. Changed rules need a full refresh of this model. #}
with

agent_turns as (
    select
        *,
        {{ marked_text(plain_text('text')) }} as marked_text
    from {{ ref('ci_turns') }}
    where landed_at >= {{ landed_from() }} and speaker != 'CUSTOMER'
),

rules as (
    select
        group_name as disclosure,
        {{ phrase_pattern('query', 'is_case_sensitive') }} as pattern
    from {{ ref('phrase_matcher_rules') }}
    where display_name = 'required_disclosures' and not is_negated
),

said as (
    select
        {{ surrogate_key(['agent_turns.conversation_id', 'rules.disclosure']) }} as disclosure_said_id,
        agent_turns.conversation_id,
        agent_turns.payload_sha256,
        rules.disclosure,
        min(agent_turns.turn_index) as first_turn_index,
        agent_turns.batch_date,
        agent_turns.landed_at
    from agent_turns
    cross join rules
    where regexp_contains(agent_turns.marked_text, rules.pattern)
    group by
        agent_turns.conversation_id,
        agent_turns.payload_sha256,
        rules.disclosure,
        agent_turns.batch_date,
        agent_turns.landed_at
)

select * from said
