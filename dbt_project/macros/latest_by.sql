{# Keeps one row per key. `order_by` must be a total order, so that MERGE never meets two rows. #}
{% macro latest_by(key, order_by) -%}
    qualify row_number() over (partition by {{ key }} order by {{ order_by }}) = 1
{%- endmacro %}
