{# dbt's making of a view, but for one that stands as it would be made: it is left. A label of it has a fingerprint of
   its SQL and of the names and types of its columns and of all that it reads. `--full-refresh` makes all. #}
{% macro bigquery__create_or_replace_view() -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set old_relation = load_relation(this) -%}
    {%- set held = adapter.get_bq_table(this) if old_relation and old_relation.is_view else none -%}
    {%- set grant_config = config.get('grants') -%}
    {{- run_hooks(pre_hooks) -}}
    {%- if old_relation and not old_relation.is_view -%}
        {{- handle_existing_table(should_full_refresh(), old_relation) -}}
    {%- endif -%}
    {%- if held and held.labels.get('view_content') == view_content() and not should_full_refresh() -%}
        {%- do store_raw_result(name='main', message='UNCHANGED', code='UNCHANGED', rows_affected='0') -%}
    {%- else -%}
        {%- call statement('main') -%}
            {{- get_create_view_as_sql(target_relation, sql) -}}
        {%- endcall -%}
    {%- endif -%}
    {%- do apply_grants(target_relation, grant_config, should_revoke=should_revoke(held, full_refresh_mode=true)) -%}
    {{- run_hooks(post_hooks) -}}
    {{- return({'relations': [target_relation]}) -}}
{%- endmacro %}

{% macro bigquery_view_options(config, node) -%}
    {%- set options = adapter.get_view_options(config, node) -%}
    {%- do options.update({'labels': options.get('labels', []) + [('view_content', view_content())]}) -%}
    {{- return(bigquery_options(options)) -}}
{%- endmacro %}

{% macro view_content() -%}
    {%- set types = {} -%}
    {%- for id in [model.unique_id] + model.depends_on.nodes -%}
        {%- set node = graph.nodes.get(id) or graph.sources.get(id) -%}
        {%- for name, column in node.columns.items() -%}
            {%- do types.update({id ~ ' ' ~ name: column.data_type}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{- return(local_md5(tojson([sql, model.description, types], sort_keys=true))) -}}
{%- endmacro %}
