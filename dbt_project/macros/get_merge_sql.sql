{# dbt's MERGE with one more kind of incremental predicate: `literal_range:<column>` becomes
   `<column> between <literal> and <literal>`, the range of the rows to be merged and of the rows
   that the same conversations have in the target. So the target is pruned to a few partitions, and
   a row whose partition column has changed is still found. #}
{% macro bigquery__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
    {%- set predicates = [] -%}
    {%- for predicate in incremental_predicates or [] -%}
        {%- if predicate.startswith('literal_range:') -%}
            {%- do predicates.append(literal_range(target, source, predicate.split(':')[1])) -%}
        {%- else -%}
            {%- do predicates.append(predicate) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ dbt.default__get_merge_sql(target, source, unique_key, dest_columns, predicates) }}
{%- endmacro %}

{% macro literal_range(target, source, column) -%}
    {%- set query -%}
        with merged as (select conversation_id, {{ column }} from {{ source }}),

        touched as (
            select {{ column }} from merged
            union all
            select {{ column }} from {{ target }}
            where conversation_id in (select conversation_id from merged)
        )

        select
            format_date('%F', min({{ column }})) as first_value,
            format_date('%F', max({{ column }})) as last_value
        from touched
    {%- endset -%}
    {%- set range = run_query(query).rows[0] -%}
    {%- if range[0] is none -%}
        false
    {%- else -%}
        DBT_INTERNAL_DEST.{{ column }} between date '{{ range[0] }}' and date '{{ range[1] }}'
    {%- endif -%}
{%- endmacro %}
