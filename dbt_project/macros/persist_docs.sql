{# dbt sends each description and each column's again in every build, by five requests a table. Here one asks what the
   table has, and what differs is sent. Columns that hold personal data have the policy tag as well; those of a view take
   none: BigQuery asks for the tags of the tables that it reads. #}
{% macro bigquery__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- set held = adapter.get_bq_table(relation) -%}
    {%- if for_relation and config.persist_relation_docs() and model.description not in ('', held.description) -%}
        {%- do alter_relation_comment(relation, model.description) -%}
    {%- endif -%}
    {%- if for_columns and config.persist_column_docs() and model.columns -%}
        {%- set fields = fields_by_name(held.schema) -%}
        {%- set columns = validate_doc_columns(relation, model.columns, fields | list) -%}
        {%- set differing = [] -%}
        {%- for name, column in with_policy_tags(relation, columns).items() if not is_told(fields[name], column) -%}
            {%- do differing.append(name) -%}
        {%- endfor -%}
        {%- if differing -%}
            {%- do alter_column_comment(relation, columns) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro fields_by_name(schema, prefix='') -%}
    {%- set fields = {} -%}
    {%- for field in schema -%}
        {%- do fields.update({prefix ~ field.name: field}) -%}
        {%- do fields.update(fields_by_name(field.fields, prefix ~ field.name ~ '.')) -%}
    {%- endfor -%}
    {{- return(fields) -}}
{%- endmacro %}

{% macro is_told(field, column) -%}
    {%- set tags = field.policy_tags.names | list if field.policy_tags else [] -%}
    {{- return(field.description == column.description and tags == (column.policy_tags or [])) -}}
{%- endmacro %}

{% macro with_policy_tags(relation, columns) -%}
    {%- set policy_tag = var('personal_data_policy_tag') or env_var('DBT_PERSONAL_DATA_POLICY_TAG', '') -%}
    {%- if policy_tag and not relation.is_view -%}
        {%- set personal = personal_columns() -%}
        {%- for name, column in columns.items() if name in personal -%}
            {%- do column.update({'policy_tags': [policy_tag]}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(columns) -}}
{%- endmacro %}

{# Names of columns, fields of structs with a dot, that hold what people said or who they are. #}
{% macro personal_columns() -%}
    {%- set own = var('conversation_custom_fields') | selectattr('personal', 'defined') | selectattr('personal') -%}
    {{- return(var('personal_columns') + own | map(attribute='name') | list) -}}
{%- endmacro %}
