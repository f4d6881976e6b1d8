{# Every JSON path of every landed CI payload, one level after another; keys of maps become `*`, and the
   words of a segment aren't opened (a thousand a conversation, all alike). #}
{%- set levels = 9 -%}
{%- set maps = 'labels|entities|intents|phraseMatchers|textSections' -%}
with

source as (
    select
        conversation_id,
        payload,
        _landed_at
    from {{ source('coach_raw', 'ci_conversations') }}
    where _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
),

level_0 as (
    select
        conversation_id,
        _landed_at,
        '' as path,
        'object' as json_type,
        payload as value
    from source
),
{% for level in range(1, levels + 1) %}
    children_{{ level }} as (
        select
            parent.conversation_id,
            parent._landed_at,
            concat(
                parent.path, if(parent.path = '', '', '.'),
                if(regexp_contains(parent.path, r'(^|\.)({{ maps }})$'), '*', member)
            ) as path,
            parent.value[member] as value
        from level_{{ level - 1 }} as parent
        cross join unnest(json_keys(parent.value, 1)) as member
        where parent.json_type = 'object'
        union all
        select
            parent.conversation_id,
            parent._landed_at,
            concat(parent.path, '[]') as path,
            element as value
        from level_{{ level - 1 }} as parent
        cross join unnest(json_query_array(parent.value)) as element
        where parent.json_type = 'array' and not ends_with(parent.path, '.words')
    ),

    level_{{ level }} as (
        select
            conversation_id,
            _landed_at,
            path,
            json_type(value) as json_type,
            value
        from children_{{ level }}
    ),
{% endfor %}
paths as (
    {% for level in range(1, levels + 1) %}
        select
            path,
            json_type,
            conversation_id,
            _landed_at as landed_at
        from level_{{ level }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from paths
