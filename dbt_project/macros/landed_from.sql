{# A literal timestamp: rows landed earlier need no reading by this model now.

   BigQuery prunes partitions by literals only, so the model's own watermark (the newest `landed_at`
   in it that isn't in the future) is read when the model runs, less an overlap for rows that land late. It is looked
   for in the partitions of the last days first: one that is found there is at most too early, and then more is read.
   A first run and a full refresh read from `raw_start_date`, and a backfill from its start if that is earlier. Offline
   it is a fixed literal. #}
{% macro landed_from(days_more=0, is_backfilled=true) -%}
    {%- set watermark = own_watermark(days_more) -%}
    {%- set start = backfill('start') if is_backfilled else '' -%}
    {%- set start = start if watermark and start and start < watermark else watermark -%}
    timestamp '{{ start or var("raw_start_date") ~ " 00:00:00" }}+00'
{%- endmacro %}

{# The rest of the condition where a backfill ends before the watermark: what landed between the two needs no reading.
   What a build would read without a backfill is read too, so that the watermark passes over nothing. #}
{% macro landed_until(source='') -%}
    {%- set end = backfill('end') -%}
    {%- set watermark = own_watermark() if end else none -%}
    {%- if not watermark or not backfill('start') < end < watermark -%}
        {{ return('') }}
    {%- endif -%}
    {%- set landed_at = source ~ 'landed_at' -%}
    {{ return(
        ' and (' ~ landed_at ~ " < timestamp '" ~ end ~ "+00' or " ~ landed_at ~ " >= timestamp '" ~ watermark ~ "+00')"
    ) }}
{%- endmacro %}

{# A bound of a backfill: a day is its midnight; an empty text where there is none. #}
{% macro backfill(bound) -%}
    {%- set moment = var('backfill_' ~ bound) | string -%}
    {{ return(moment ~ ' 00:00:00' if moment | length == 10 else moment) }}
{%- endmacro %}

{% macro own_watermark(days_more=0) -%}
    {%- if not execute or var('offline_compile', '') or not is_incremental() -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set hours = var('incremental_overlap_hours') | int + 24 * days_more -%}
    {{ return(watermark_where(in_last_days(), hours) or watermark_where('true', hours) or from_build_before(hours)) }}
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

{# A table that has been built and has no row, such as that of custom fields where there are none, would be looked for
   in all that ever landed, in every build. It looks back two days more than others from what the build before this one
   knew: after an empty build (`--empty`) that is nothing, and all is read. Facts, which are made before the index, have
   no raw rows to read while they are empty. #}
{% macro from_build_before(hours) -%}
    {%- for node in model.depends_on.nodes if node.endswith('.int_changed_days') -%}
        {%- set query -%}
            select format_timestamp('%F %H:%M:%E6S', timestamp_sub(min(known_before), interval {{ hours + 48 }} hour))
                as landed_from
            from {{ ref('int_changed_days') }}
        {%- endset -%}
        {{ return(run_query(query).columns[0].values()[0]) }}
    {%- endfor -%}
    {{ return(none) }}
{%- endmacro %}

{% macro in_last_days() -%}
    {%- set since = (run_started_at - modules.datetime.timedelta(days=7)).strftime('%Y-%m-%d') -%}
    {{ return(config.get('partition_by')['field'] ~ " >= date '" ~ since ~ "'") }}
{%- endmacro %}
