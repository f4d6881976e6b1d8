{# With `--vars 'tested_days: changed'` a generic test asks of a model that is partitioned by day only the days about
   whose conversations something landed within the overlap before the newest landing, by literals, as the models
   themselves read (see `in_days`): other rows were tested when they were made. Otherwise it asks all of them. #}
{% macro bigquery__get_where_subquery(relation) -%}
    {%- set conditions = [config.get('where')] if config.get('where') else [] -%}
    {%- if execute and var('tested_days') == 'changed' and model.attached_node -%}
        {%- set tested = graph.nodes[model.attached_node] -%}
        {%- set column = (tested.config.get('partition_by') or {}).get('field') -%}
        {%- if column in ('batch_date', 'kept_date') and tested.alias == relation.identifier -%}
            {%- do conditions.append(in_tested_days(column)) -%}
        {%- endif -%}
    {%- endif -%}
    {%- if conditions -%}
        {{ return('(select * from ' ~ relation ~ ' where ' ~ conditions | join(' and ') ~ ') dbt_subquery') }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro %}

{% macro in_tested_days(column) -%}
    {%- set changed_days = adapter.get_relation(
        target.database, generate_schema_name('staging', none), 'int_changed_days'
    ) -%}
    {%- if changed_days is none -%}
        {{ return('true') }}
    {%- endif -%}
    {%- set lately -%}
        landed_at >= (
            select timestamp_sub(max(landed_at), interval {{ var('incremental_overlap_hours') }} hour)
            from {{ changed_days }}
            where landed_at <= timestamp '{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}+00'
        )
    {%- endset -%}
    {{ return(in_listed_dates(column, changed_days, lately)) }}
{%- endmacro %}
