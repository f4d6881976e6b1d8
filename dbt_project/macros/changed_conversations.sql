{# Conversations about which any of the relations has rows landed since then; one row each. `within` is `in_days`. #}
{% macro changed_conversations(relations, landed_from, within='true') -%}
    {%- for relation in relations -%}
        select conversation_id
        from {{ relation }}
        where
            landed_at >= {{ landed_from }}
            and {{ within }}
            and {{ is_indexed(landed_from, within) }}
        {{ 'union distinct' if not loop.last else 'group by conversation_id' if loop.length == 1 }}
    {% endfor -%}
{%- endmacro %}
