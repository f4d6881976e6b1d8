{# What lies directly under a JSON value: array<struct<name, value>>. Elements of an array have no name. Both arms are
   of their own type whatever the value is, since an engine may evaluate the one that isn't taken. #}
{% macro json_members(value, json_type) -%}
    if(
        {{ json_type }} = 'array',
        array(
            select as struct
                '' as name,
                element as value
            from unnest(json_query_array(if({{ json_type }} = 'array', {{ value }}, null))) as element
        ),
        array(
            select as struct
                member as name,
                {{ value }}[member] as value
            from unnest(json_keys({{ value }}, 1)) as member
        )
    )
{%- endmacro %}
