{# A literal timestamp: rows landed earlier need no reading by this model now.

   BigQuery prunes partitions by literals only, so the model's own watermark (the newest `landed_at`
   in it that isn't in the future) is read when the model runs, less an overlap for rows that land late. It is looked
   for in the partitions of the last days first: one that is found there is at most too early, and then more is read.
   A first run, a full refresh and an empty table read from `raw_start_date`. Offline it is a fixed literal. #}
{% macro landed_from(days_more=0) -%}
    {%- set watermark = none -%}
    {%- set hours = var('incremental_overlap_hours') | int + 24 * days_more -%}
    {%- if execute and not var('offline_compile', '') and is_incremental() -%}
        {%- set watermark = watermark_where(in_last_days(), hours) or watermark_where('true', hours) -%}
    {%- endif -%}
    timestamp '{{ watermark or var("raw_start_date") ~ " 00:00:00" }}+00'
{%- endmacro %}

{% macro watermark_where(condition, hours) -%}
    {%- set query -%}
        select format_timestamp(
            '%F %H:%M:%E6S',
            timestamp_sub(
                max(landed_at), interval {{ hours }} hour
            )
        ) as landed_from
        from {{ this }}
        where
            landed_at <= timestamp '{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}+00'
            and {{ condition }}
    {%- endset -%}
    {{ return(run_query(query).columns[0].values()[0]) }}
{%- endmacro %}

{% macro in_last_days() -%}
    {%- set since = (run_started_at - modules.datetime.timedelta(days=7)).strftime('%Y-%m-%d') -%}
    {{ return(config.get('partition_by')['field'] ~ " >= date '" ~ since ~ "'") }}
{%- endmacro %}
