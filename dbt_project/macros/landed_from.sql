{# A literal timestamp: rows landed earlier need no reading by this model now.

   BigQuery prunes partitions by literals only, so the model's own watermark (the newest `landed_at`
   in it that isn't in the future) is read when the model runs, less an overlap for rows that land late.
   A first run, a full refresh and an empty table read from `raw_start_date`. Offline it is a fixed literal. #}
{% macro landed_from() -%}
    {%- set watermark = namespace(value=none) -%}
    {%- if execute and not var('offline_compile', '') and is_incremental() -%}
        {%- set query -%}
            select format_timestamp(
                '%F %H:%M:%E6S',
                timestamp_sub(
                    max(landed_at), interval {{ var('incremental_overlap_hours') }} hour
                )
            ) as landed_from
            from {{ this }}
            where landed_at <= timestamp '{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}+00'
        {%- endset -%}
        {%- set watermark.value = run_query(query).columns[0].values()[0] -%}
    {%- endif -%}
    timestamp '{{ watermark.value or var("raw_start_date") ~ " 00:00:00" }}+00'
{%- endmacro %}
