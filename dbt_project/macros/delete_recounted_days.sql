{# Pre-hook of a model that counts whole days again: what the days held before goes first, so that what is no
   longer there isn't kept. A build that ends in between starts again from the last day that is left. #}
{% macro delete_recounted_days() -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where landed_date >= date({{ landed_from(is_backfilled=false) }})
    {%- endif -%}
{%- endmacro %}
