{# A literal list of dates for `column`, the partition column of the table that is read: those of the rows of
   `relation` that match the condition. `date` is an expression of them. #}
{% macro in_dates(column, relation, condition, date='batch_date') -%}
    {%- if not is_incremental() -%}
        {{ return('true') }}
    {%- endif -%}
    {%- if not execute or var('offline_compile', '') -%}
        {{ return(column ~ " in (date '2020-01-01')") }}
    {%- endif -%}
    {{ return(in_listed_dates(column, relation, condition, date)) }}
{%- endmacro %}

{# The list itself. Where there are no such rows it has a day on which nothing stands. #}
{% macro in_listed_dates(column, relation, condition, date='batch_date') -%}
    {%- set query -%}
        select format_date('%F', {{ date }}) as found_date
        from {{ relation }}
        where {{ condition }}
        group by found_date
        order by found_date
    {%- endset -%}
    {%- set dates = run_query(query).columns[0].values() | select | list or ['0001-01-01'] -%}
    {{ return(column ~ " in (date '" ~ dates | join("', date '") ~ "')") }}
{%- endmacro %}
