{# Numbers that are equal in every build. A sum of floats depends on the order of its rows, and a comparison on the
   last bit; so floats are counted in whole millionths, whose sums are exact, and only then divided. #}

{# A number of a payload, given as text: 0 where it is absent, since proto3 JSON omits zeros. Never -0.0, which
   equals 0 and has other bytes. #}
{% macro number_or_zero(text) -%}
    coalesce(nullif(safe_cast({{ text }} as float64), 0), 0)
{%- endmacro %}

{# The number in whole millionths, rounded. #}
{% macro micros(number) -%}
    cast(round({{ number }} * 1000000) as int64)
{%- endmacro %}

{# The mean of a column of millionths, as a number; null of none. #}
{% macro mean_of_micros(column) -%}
    sum({{ column }}) / (count({{ column }}) * 1000000)
{%- endmacro %}
