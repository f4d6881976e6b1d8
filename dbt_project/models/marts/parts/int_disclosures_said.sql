{{
    config(
        materialized='incremental',
        unique_key='disclosure_said_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['own_days', 'whole_conversations'],
        post_hook=["{{ delete_superseded() }}", "{{ delete_forgotten_states() }}"]
    )
}}
{# Looked for in the text with today's rules, not taken from Insights' matches, so that a conversation whose
   analysis ran without the matcher isn't judged silent. Changed rules need a full refresh of this model. Few
   turns have a phrase's letters in its order; only those are looked through. #}
{%- set landed_from = landed_from() %}
with

agent_turns as (
    select *
    from {{ ref('ci_turns') }}
    where
        landed_at >= {{ landed_from }}
        and {{ in_days(landed_from) }}
        and speaker != 'CUSTOMER'
),

rules as (
    select
        group_name as disclosure,
        {{ phrase_pattern('query', 'is_case_sensitive') }} as pattern,
        {{ phrase_letters('query') }} as letters
    from {{ ref('phrase_matcher_rules') }}
    where
        not is_negated
        and display_name in (
            select measures.phrase_matcher
            from {{ ref('matcher_measures') }} as measures
            where measures.measure = 'required_disclosure'
        )
),

candidates as (
    select
        agent_turns.*,
        rules.disclosure,
        rules.pattern
    from agent_turns
    cross join rules
    where lower(agent_turns.text) like rules.letters
),

said as (
    select
        {{ surrogate_key(['conversation_id', 'disclosure']) }} as disclosure_said_id,
        conversation_id,
        payload_sha256,
        disclosure,
        min(turn_index) as first_turn_index,
        batch_date,
        landed_at
    from candidates
    where regexp_contains({{ marked_text(plain_text('text')) }}, pattern)
    group by conversation_id, payload_sha256, disclosure, batch_date, landed_at
)

select * from said
