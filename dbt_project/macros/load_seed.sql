{# A seed whose file has not changed since it was loaded is left as it is: a label of its table has a fingerprint of the
   file and of all that the load makes of it. One that has changed is replaced by the load job, which truncates, rather
   than dropped before it: so whoever reads beside a build never misses it. `--full-refresh` loads all. A file
   above 1 MB, of which dbt takes no checksum, is always loaded. #}
{% macro bigquery__load_csv_rows(model, agate_table) -%}
    {%- set settings = model['config'] -%}
    {%- set content = local_md5(tojson(
        [model['checksum'], settings['column_types'], settings['delimiter'], config.get('labels', {}), model['description']],
        sort_keys=true
    )) -%}
    {%- set held = adapter.get_bq_table(this) -%}
    {%- set is_known = model['checksum']['name'] == 'sha256' and held and held.labels.get('seed_content') == content -%}
    {%- if should_full_refresh() or not is_known -%}
        {%- do adapter.load_dataframe(
            model['database'], model['schema'], model['alias'], agate_table, settings['column_types'], settings['delimiter']
        ) -%}
        {%- set options = adapter.get_table_options(config, model, false) -%}
        {%- do options.update({'labels': options.get('labels', []) + [('seed_content', content)]}) -%}
        {%- call statement() -%}
            alter table {{ this.render() }} set {{ bigquery_options(options) }}
        {%- endcall -%}
    {%- endif -%}
{%- endmacro %}

{# dbt drops the table before it loads rows: not here. Without rows (`--empty`) nothing is loaded, and the table is made
   anew. #}
{% macro bigquery__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
    {%- if not agate_table.rows -%}
        {%- do adapter.drop_relation(old_relation) -%}
        {{ return(create_csv_table(model, agate_table)) }}
    {%- endif -%}
{%- endmacro %}
