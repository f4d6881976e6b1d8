{{
    config(
        materialized='incremental',
        unique_key='transcript_version_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# Times are counted in whole milliseconds, whose sums are exact. Where one turn has no end, no turn has: a gap that
   may be a turn is no silence. The other side of a customer is every agent, the bot too. #}
{%- set landed_from = landed_from() %}
{%- set has_ends = 'count(end_ms) > 0' %}
with

turns as (
    select
        *,
        cast(round(start_offset_sec * 1000) as int64) as start_ms,
        if(
            countif(end_offset_sec is null) over (partition by conversation_id, transcript_sha256) = 0,
            cast(round(end_offset_sec * 1000) as int64),
            null
        ) as end_ms
    from {{ ref('int_transcript_turns') }}
    where landed_at >= {{ landed_from }} and {{ in_days(landed_from) }}
),

ordered as (
    select
        *,
        coalesce(max(end_ms) over earlier, start_ms) as busy_until_ms,
        if(
            speaker = 'CUSTOMER',
            max(if(speaker = 'CUSTOMER', null, end_ms)) over earlier,
            max(if(speaker = 'CUSTOMER', end_ms, null)) over earlier
        ) as other_side_until_ms
    from turns
    window earlier as (
        partition by conversation_id, transcript_sha256
        order by start_ms, turn_index
        rows between unbounded preceding and 1 preceding
    )
),

measured as (
    select
        *,
        end_ms - start_ms as talk_ms,
        greatest(start_ms - busy_until_ms, 0) as silence_ms,
        greatest(least(busy_until_ms, end_ms) - start_ms, 0) as overlap_ms,
        if(start_ms < other_side_until_ms, 1, 0) as overlap_count,
        if(start_ms < other_side_until_ms and end_ms > other_side_until_ms, 1, 0) as interruption_count
    from ordered
),

counted as (
    select
        {{ surrogate_key(['conversation_id', 'transcript_sha256']) }} as transcript_version_id,
        conversation_id,
        transcript_sha256,
        count(*) as turn_count,
        {%- for side in ['agent', 'automated_agent', 'customer'] %}
            countif(speaker = '{{ side | upper }}') as {{ side }}_turn_count,
            sum(if(speaker = '{{ side | upper }}', word_count, 0)) as {{ side }}_word_count,
            if({{ has_ends }}, sum(if(speaker = '{{ side | upper }}', interruption_count, 0)), null)
                as {{ side }}_interruption_count,
            if({{ has_ends }}, sum(if(speaker = '{{ side | upper }}', talk_ms, 0)), null) as {{ side }}_talk_ms,
        {%- endfor %}
        sum(talk_ms) as talk_ms,
        {%- for measure in ['overlap_count', 'overlap_ms', 'silence_ms'] %}
            if({{ has_ends }}, sum({{ measure }}), null) as {{ measure }},
        {%- endfor %}
        if({{ has_ends }}, max(silence_ms), null) as longest_silence_ms,
        min(batch_date) as batch_date,
        max(landed_at) as landed_at
    from measured
    group by conversation_id, transcript_sha256
)

select * from counted
