{# One string key from several columns; null and the empty string give the same key. #}
{% macro surrogate_key(columns) -%}
    {%- set parts = [] -%}
    {%- for column in columns -%}
        {%- do parts.append("coalesce(cast(" ~ column ~ " as string), '')") -%}
    {%- endfor -%}
    to_hex(sha256(concat({{ parts | join(", '|', ") }})))
{%- endmacro %}
