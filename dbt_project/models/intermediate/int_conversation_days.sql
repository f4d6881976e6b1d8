{{
    config(
        materialized='incremental',
        unique_key=['conversation_key', 'batch_date'],
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        incremental_predicates=[]
    )
}}
{# An index: on which days a conversation stands or has ever stood, and when anything about it landed last. With it a
   build finds by literals all rows of what has changed. A fingerprint stands for the id, so that the days of one that
   was forgotten stay known; two of one fingerprint would share their days. It is made after the facts, and looks back
   further than they do, so that it knows all that they know: their watermarks may lie behind its own by days. Of files
   and events it asks the raw tables, which are partitioned by landing; a state's day is known to its table alone. #}
{%- set landed = 'landed_at >= ' ~ landed_from(days_more=30) %}
{%- if not execute %}
    {%- do ref('int_conversation_files') %}
    {%- do ref('int_pipeline_events') %}
{%- endif %}
with

landed as (
    select
        conversation_id,
        batch_date,
        landed_at
    from {{ ref('stg_files__conversation_files') }}
    where {{ landed }}
    union all
    select
        conversation_id,
        batch_date,
        landed_at
    from {{ ref('stg_pipeline__events') }}
    where {{ landed }}
    union all
    select
        conversation_id,
        batch_date,
        landed_at
    from {{ ref('int_ci_states') }}
    where {{ landed }}
),

found as (
    select
        farm_fingerprint(conversation_id) as conversation_key,
        batch_date,
        max(landed_at) as landed_at
    from landed
    where batch_date is not null
    group by conversation_id, batch_date
),

{%- if is_incremental() %}

    held as (
        select *
        from {{ this }}
        where conversation_key in (select found.conversation_key from found)
    ),
{%- endif %}

days as (
    select *
    from found
    {%- if is_incremental() %}
        union all
        select *
        from held
    {%- endif %}
),

newest as (
    select
        conversation_key,
        max(landed_at) as landed_at
    from days
    group by conversation_key
),

dated as (
    select
        days.conversation_key,
        days.batch_date,
        max(newest.landed_at) as landed_at
    from days
    inner join newest
        on days.conversation_key = newest.conversation_key
    group by days.conversation_key, days.batch_date
)

select * from dated
