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

{# A number rounded to whole millionths: engines differ in the last bit of a root. #}
{% macro in_millionths(number) -%}
    {{ micros('(' ~ number ~ ')') }} / 1000000
{%- endmacro %}

{# Points, possible points and their share of a scored part of a payload, as members of a struct: zero where they are
   absent, null where none are possible. Expanded by tests/warehouse/json_reads.py too. #}
{% macro points_of(scored, prefix='') -%}
    {%- set path = "json_value(" ~ scored ~ ", '$." ~ prefix -%}
    {%- set possible = path ~ "potentialScore')" -%}
    if({{ possible }} is null, null, {{ number_or_zero(path ~ "score')") }}) as score,
    safe_cast({{ possible }} as float64) as potential_score,
    if({{ possible }} is null, null, {{ number_or_zero(path ~ "normalizedScore')") }}) as normalized_score
{%- endmacro %}
