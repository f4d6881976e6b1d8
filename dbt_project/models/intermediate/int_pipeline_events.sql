{{
    config(
        materialized='incremental',
        unique_key='event_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['step', 'conversation_id'],
        post_hook="{{ delete_forgotten_events() }}"
    )
}}
{# An event never changes; where it landed twice its first landing counts, and one that an earlier build has
   merged stays. The filter stands below the window, so that it reaches the raw table's partitions. #}
{%- set landed = 'landed_at >= ' ~ landed_from() %}
with

events as (
    select *
    from {{ ref('stg_pipeline__events') }}
    where {{ landed }}
    {{ latest_by('event_id', 'landed_at, run_id, ended_at') }}
),

first_landed as (
    select events.*
    from events
    {%- if is_incremental() %}
    left join {{ this }} as held
        on
            events.event_id = held.event_id
            and events.landed_at > held.landed_at
            and {{ date_range('held.batch_date', ref('stg_pipeline__events'), landed) }}
    where held.event_id is null
    {%- endif %}
)

select * from first_landed
