{# Who breaks an expectation of a single conversation is set aside here and counts in no mart of quality; all else is
   built. The expectations are those of macros/quarantine.sql, and the laws ask the same. #}
{%- set expectations = {
    'sentiment_missing': odd_sentiments(ref('int_turn_counts')),
    'turns_differ': odd_turns(ref('int_turn_counts')),
    'findings_lost': odd_findings(),
    'hit_unexplained': odd_hits(),
    'labels_differ': odd_labels()
} %}
with

{% for rule, query in expectations.items() %}
    {{ rule }} as (
        {{ query }}
    ),
{% endfor %}

odd as (
    {% for rule in expectations -%}
        select
            conversation_id,
            '{{ rule }}' as rule
        from {{ rule }}
        {{ 'union distinct' if not loop.last }}
    {% endfor %}
),

quarantined as (
    select
        {{ surrogate_key(['odd.conversation_id', 'odd.rule']) }} as quarantined_conversation_id,
        odd.conversation_id,
        conversations.conversation_version_id,
        odd.rule,
        rules.description,
        rules.what_to_do,
        conversations.agent_id,
        conversations.batch_date,
        conversations.landed_at as since,
        conversations.landed_at
    from odd
    inner join {{ ref('ci_conversations') }} as conversations
        on odd.conversation_id = conversations.conversation_id
    left join {{ ref('quarantine_rules') }} as rules
        on odd.rule = rules.rule
)

select * from quarantined
