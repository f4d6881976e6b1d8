{{
    config(
        materialized='incremental',
        unique_key='event_id',
        partition_by={'field': 'kept_date', 'data_type': 'date'},
        cluster_by=['step', 'conversation_id'],
        incremental_predicates=['days_of_source:kept_date'],
        post_hook="{{ delete_forgotten_events() }}"
    )
}}
{# An event never changes; where it landed twice its first landing counts, and one that an earlier build has
   merged stays. The filter stands below the window, so that it reaches the raw table's partitions; the list of
   dates stands outside the outer join, whose condition it would make `… and false` where nothing landed. #}
{%- set landed = 'landed_at >= ' ~ landed_from() ~ landed_until() %}
with

events as (
    select *
    from {{ ref('stg_pipeline__events') }}
    where {{ landed }}
    {{ latest_by('event_id', 'landed_at, run_id, ended_at') }}
),

{%- if is_incremental() %}

    held as (
        select
            event_id,
            landed_at
        from {{ this }}
        where {{ in_dates('kept_date', ref('stg_pipeline__events'), landed, 'kept_date') }}
    ),
{%- endif %}

first_landed as (
    select events.*
    from events
    {%- if is_incremental() %}
    left join held
        on
            events.event_id = held.event_id
            and events.landed_at > held.landed_at
    where held.event_id is null
    {%- endif %}
)

select * from first_landed
