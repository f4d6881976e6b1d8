{# dbt's setting of columns' descriptions, which puts the policy tag on those that hold personal data as well. A view
   takes none: BigQuery asks for the tags of the tables that it reads. #}
{% macro bigquery__alter_column_comment(relation, column_dict) -%}
    {%- set policy_tag = var('personal_data_policy_tag') or env_var('DBT_PERSONAL_DATA_POLICY_TAG', '') -%}
    {%- if policy_tag and not relation.is_view -%}
        {%- set personal = personal_columns() -%}
        {%- for name, column in column_dict.items() if name in personal -%}
            {%- do column.update({'policy_tags': [policy_tag]}) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- do adapter.update_columns(relation, column_dict) -%}
{%- endmacro %}

{# Names of columns, fields of structs with a dot, that hold what people said or who they are. #}
{% macro personal_columns() -%}
    {%- set own = var('conversation_custom_fields') | selectattr('personal', 'defined') | selectattr('personal') -%}
    {{- return(var('personal_columns') + own | map(attribute='name') | list) -}}
{%- endmacro %}
