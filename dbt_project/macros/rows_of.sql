{# All rows of a view, or, where a model reads some days alone, those that the rows of these days give. A view with a
   window can't be filtered from outside: a condition on its columns prunes nothing below the window, so `rows`, the
   macro that is the view (macros/folds), is called with the condition. dbt learns of both ways when it parses. #}
{% macro rows_of(view, rows, within) -%}
    {%- if execute and within == 'true' -%}
        select * from {{ view }}
    {%- else -%}
        {{ rows(within) }}
    {%- endif -%}
{%- endmacro %}
