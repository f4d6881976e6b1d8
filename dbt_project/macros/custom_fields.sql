{# The custom fields that dbt_project.yml declares, as rows: custom_field, data_type, is_personal, is_label. #}
{% macro declared_custom_fields() -%}
    {%- for field in var('conversation_custom_fields') %}
        select
            '{{ field.name }}' as custom_field,
            '{{ field.data_type }}' as data_type,
            {{ 'true' if field.personal else 'false' }} as is_personal,
            {{ 'true' if field.label else 'false' }} as is_label
        union all
    {%- endfor %}
    select
        cast(null as string) as custom_field,
        cast(null as string) as data_type,
        cast(null as bool) as is_personal,
        cast(null as bool) as is_label
{%- endmacro %}

{# The text of a custom field as a value of a type, or null. An engine may round "2.5" to an integer; this doesn't. #}
{% macro custom_value(text, data_type) -%}
    {%- if data_type == 'int64' -%}
        safe_cast(regexp_extract({{ text }}, r'^-?[0-9]+$') as int64)
    {%- else -%}
        safe_cast({{ text }} as {{ data_type }})
    {%- endif -%}
{%- endmacro %}
