{# dbt's MERGE with two more words in `incremental_predicates`.

   `literal_range:<column>` becomes `<column> between <literal> and <literal>`, the range of the rows to be
   merged and of the rows that the same conversations have in the target. So the target is pruned to a few
   partitions, and a row whose partition column has changed is still found.

   `whole_conversations` says that the model gives all rows of every conversation in it: rows of those
   conversations that it no longer gives are deleted first, since MERGE alone never takes a row out. #}
{% macro bigquery__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
    {%- set predicates = [] -%}
    {%- set wanted = incremental_predicates or [] -%}
    {%- for predicate in wanted if predicate.startswith('literal_range:') -%}
        {%- set column = predicate.split(':')[1] -%}
        {%- set touched = touched_rows(target, source, unique_key, column) -%}
        {%- set range = 'false' -%}
        {%- if touched['first_value'] is not none -%}
            {%- set range = "DBT_INTERNAL_DEST." ~ column ~ " between date '" ~ touched['first_value']
                ~ "' and date '" ~ touched['last_value'] ~ "'" -%}
        {%- endif -%}
        {%- do predicates.append(range) -%}
        {%- if 'whole_conversations' in wanted and touched['stale_count'] > 0 -%}
            {%- do run_query(delete_stale(target, source, unique_key, range)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for predicate in wanted -%}
        {%- if predicate != 'whole_conversations' and not predicate.startswith('literal_range:') -%}
            {%- do predicates.append(predicate) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ dbt.default__get_merge_sql(target, source, unique_key, dest_columns, predicates) }}
{%- endmacro %}

{% macro touched_rows(target, source, unique_key, column) -%}
    {%- set read = ['conversation_id', column, unique_key] | unique | join(', ') -%}
    {%- set query -%}
        with merged as (select {{ read }} from {{ source }}),

        held as (
            select {{ column }}, {{ unique_key }}
            from {{ target }}
            where conversation_id in (select conversation_id from merged)
        ),

        touched as (
            select {{ column }}, false as is_stale from merged
            union all
            select {{ column }}, {{ unique_key }} not in (select {{ unique_key }} from merged) as is_stale from held
        )

        select
            format_date('%F', min({{ column }})) as first_value,
            format_date('%F', max({{ column }})) as last_value,
            countif(is_stale) as stale_count
        from touched
    {%- endset -%}
    {{ return(run_query(query).rows[0]) }}
{%- endmacro %}

{% macro delete_stale(target, source, unique_key, range) -%}
    delete from {{ target }} as DBT_INTERNAL_DEST
    where
        {{ range }}
        and conversation_id in (select conversation_id from {{ source }})
        and {{ unique_key }} not in (select {{ unique_key }} from {{ source }})
{%- endmacro %}
