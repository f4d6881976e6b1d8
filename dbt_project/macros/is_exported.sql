{# Whether an analysis is known from Insights' own export alone, which tells its second and not its id. #}
{% macro is_exported(analysis_id) -%}
    starts_with({{ analysis_id }}, 'export-')
{%- endmacro %}
