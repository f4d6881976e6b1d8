{{ config(materialized='table') }}
{# One row a day, made once a build: every model asks it which days it has to read. #}
with

days as (
    select
        batch_date,
        max(landed_at) as landed_at
    from {{ ref('int_conversation_days') }}
    group by batch_date
)

select * from days
