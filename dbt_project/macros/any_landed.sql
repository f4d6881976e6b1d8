{# Whether a small relation has rows landed since then: asked when the model runs, so that what they would bring
   back is looked for only if there are any. Offline they are taken to be there. #}
{% macro any_landed(relation, landed_from) -%}
    {%- if not execute or var('offline_compile', '') or not is_incremental() -%}
        {{ return(true) }}
    {%- endif -%}
    {{ return(any_rows(relation, 'landed_at >= ' ~ landed_from)) }}
{%- endmacro %}
