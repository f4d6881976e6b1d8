{# Law: every raw row that landed within seven days, save within the last hour, is in the table of its facts, unless
   its conversation was forgotten since. All that is above raw is made of those tables; a row that no build reads
   is lost in silence. What lands while a build runs waits for the next one. Older rows were judged so when they
   landed. #}
{%- set since = 'timestamp_sub(current_timestamp(), interval 7 day)' -%}
{%- set until = 'timestamp_sub(current_timestamp(), interval 1 hour)' -%}
{%- set facts = [
    ('stg_files__conversation_files', 'int_conversation_files', 'conversation_file_id', 'landed_at'),
    ('stg_ci__conversations', 'int_ci_states', 'ci_state_id', 'landed_at'),
    ('stg_pipeline__events', 'int_pipeline_events', 'event_id', 'least(ended_at, landed_at)')
] %}
with

{% for staging, facts_table, key, known_at in facts %}
    landed_{{ loop.index }} as (
        select
            conversation_id,
            {{ key }} as fact_id,
            {{ known_at }} as known_at
        from {{ ref(staging) }}
        where landed_at >= {{ since }} and landed_at < {{ until }}
    ),
{% endfor %}

missing as (
    {% for staging, facts_table, key, known_at in facts %}
        select landed.*
        from landed_{{ loop.index }} as landed
        left join {{ ref(facts_table) }} as held
            on landed.fact_id = held.{{ key }}
        where held.{{ key }} is null
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select missing.fact_id
from missing
left join {{ ref('int_conversations_forgotten') }} as forgotten
    on missing.conversation_id = forgotten.conversation_id
where forgotten.conversation_id is null or missing.known_at > forgotten.forgotten_at
