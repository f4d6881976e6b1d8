{# At the end of a run: one row per test that ran into `test_history`, by one INSERT. Nothing unless the variable
   keep_test_history is true and the table has been built. A hook can't `ref` a model that may be disabled. #}
{% macro keep_test_results(results) -%}
    {%- set tests = results | selectattr('node.resource_type', 'equalto', 'test') | list -%}
    {%- if execute and tests and var('keep_test_history') -%}
        {%- set history = adapter.get_relation(target.database, target.schema, 'test_history') -%}
        {{ insert_test_results(history, tests) if history is not none }}
    {%- endif -%}
{%- endmacro %}

{% macro insert_test_results(history, tests) -%}
    insert into {{ history }} (
        test_result_id, invocation_id, test_name, model_name, status, failing_row_count, run_date, run_at
    )
    {% for result in tests %}
        select
            '{{ invocation_id }} {{ result.node.name }}',
            '{{ invocation_id }}',
            '{{ result.node.name }}',
            nullif('{{ (result.node.attached_node or '').split('.')[2:] | join('.') }}', ''),
            '{{ result.status }}',
            {{ 'cast(null as int64)' if result.failures is none else result.failures }},
            date '{{ run_started_at.strftime("%F") }}',
            timestamp '{{ run_started_at.strftime("%F %T") }}+00'
        {{ 'union all' if not loop.last }}
    {% endfor %}
{%- endmacro %}
