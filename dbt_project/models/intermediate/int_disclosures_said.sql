{{
    config(
        materialized='incremental',
        unique_key='disclosure_said_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook="{{ delete_superseded() }}"
    )
}}
{# Looked for in the text with today's rules, not taken from CI's matches, so that a conversation whose
   analysis ran without the matcher isn't judged silent. Changed rules need a full refresh of this model. #}
with

agent_turns as (
    select
        *,
        {{ plain_text('text') }} as plain_text
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

occurrences as (
    select
        agent_turns.*,
        rules.disclosure,
        occurrence,
        cast(regexp_instr(agent_turns.plain_text, rules.pattern, 1, nth + 1) as int64) - 1 as start_char
    from agent_turns
    cross join rules
    cross join unnest(regexp_extract_all(agent_turns.plain_text, rules.pattern)) as occurrence with offset as nth
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
    from occurrences
    where {{ is_whole_words('plain_text', 'start_char', 'start_char + char_length(occurrence)') }}
    group by conversation_id, payload_sha256, disclosure, batch_date, landed_at
)

select * from said
