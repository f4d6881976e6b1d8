{# A literal range for `column`, the partition column of the table that is read: the dates (`date`, an expression) in
   `relation` of the rows that match `condition`. A filter on when rows landed prunes no table above raw; this
   does. #}
{% macro date_range(column, relation, condition, date='batch_date') -%}
    {%- set dates = namespace(first='2020-01-01', last='2099-12-31') -%}
    {%- if execute and not var('offline_compile', '') and is_incremental() -%}
        {%- set query -%}
            select
                format_date('%F', min({{ date }})) as first_date,
                format_date('%F', max({{ date }})) as last_date
            from {{ relation }}
            where {{ condition }}
        {%- endset -%}
        {%- set found = run_query(query).rows[0] -%}
        {%- set dates.first, dates.last = found['first_date'], found['last_date'] -%}
    {%- endif -%}
    {%- if not is_incremental() -%}
        true
    {%- elif dates.first -%}
        {{ column }} between date '{{ dates.first }}' and date '{{ dates.last }}'
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}
