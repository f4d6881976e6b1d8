{# dbt's own, but for `--empty`: there it gives a query of the raw table with a LIMIT of none. A filter outside of it
   prunes nothing, so BigQuery would refuse a raw table that requires a filter on its partitions. #}
{% macro source() -%}
    {%- set relation = builtins.source(*varargs) -%}
    {%- if relation.limit != 0 -%}
        {{ return(relation) }}
    {%- endif -%}
    {%- set before = "_landed_at < timestamp '" ~ var('raw_start_date') ~ " 00:00:00+00'" -%}
    {{ return('(select * from ' ~ relation.render() ~ ' where ' ~ before ~ ')') }}
{%- endmacro %}
