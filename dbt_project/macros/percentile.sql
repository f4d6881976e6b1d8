{# The value at or below which that many of a hundred of a column's values lie, exactly: APPROX_QUANTILES may give
   another one in another build. Null where there are none. #}
{% macro percentile(column, percent) -%}
    array_agg({{ column }} ignore nulls order by {{ column }})[
        safe_offset(greatest(cast(ceil(count({{ column }}) * {{ percent }} / 100) as int64) - 1, 0))
    ]
{%- endmacro %}
