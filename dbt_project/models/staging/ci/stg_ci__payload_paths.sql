{{
    config(
        materialized='incremental',
        unique_key='payload_path_id',
        partition_by={'field': 'landed_date', 'data_type': 'date'},
        incremental_predicates=[],
        pre_hook="{{ delete_recounted_days() }}"
    )
}}
{# Every JSON path of the landed CI payloads, walked one level after another, and counted by day of landing. A
   walk is costly and a recursion hides filters, so this is a table with the literal right at the source. Keys
   of maps become `*`; the words of a segment aren't opened (a thousand a conversation, all alike). Whole days
   are counted again from the watermark's day on. #}
{%- set maps = 'labels|entities|intents|phraseMatchers|textSections' -%}
with recursive

source as (
    select
        conversation_id,
        payload,
        _landed_at
    from {{ source('coach_raw', 'ci_conversations') }}
    where _landed_at >= timestamp_trunc({{ landed_from() }}, day)
),

nodes as (
    select
        conversation_id,
        '' as path,
        'object' as json_type,
        payload as value,
        _landed_at
    from source
    union all
    select
        parent.conversation_id,
        concat(
            parent.path,
            case
                when parent.json_type = 'array' then '[]'
                when regexp_contains(parent.path, r'(^|\.)({{ maps }})$') then '.*'
                when parent.path = '' then child.name
                else concat('.', child.name)
            end
        ) as path,
        json_type(child.value) as json_type,
        child.value,
        parent._landed_at
    from nodes as parent
    cross join
        unnest(if(
            parent.json_type = 'array',
            array(
                select as struct
                    '' as name,
                    element as value
                from unnest(json_query_array(if(parent.json_type = 'array', parent.value, null))) as element
            ),
            array(
                select as struct
                    member as name,
                    parent.value[member] as value
                from unnest(json_keys(parent.value, 1)) as member
            )
        )) as child
    where parent.json_type in ('object', 'array') and not ends_with(parent.path, '.words')
),

counted as (
    select
        path,
        max(json_type) as json_type,
        count(*) as occurrence_count,
        count(distinct conversation_id) as conversation_count,
        date(_landed_at) as landed_date,
        min(_landed_at) as first_landed_at,
        max(_landed_at) as landed_at
    from nodes
    where path != ''
    group by path, date(_landed_at)
),

keyed as (
    select
        {{ surrogate_key(['path', 'landed_date']) }} as payload_path_id,
        *
    from counted
)

select * from keyed
