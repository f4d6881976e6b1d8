{{ config(materialized='table') }}
{# One row a day, made once a build: by it every model finds the rows that a forgetting takes out. #}
with

days as (
    select
        days.batch_date,
        max(forgotten.forgotten_at) as forgotten_at
    from {{ ref('int_conversation_days') }} as days
    inner join {{ ref('int_conversations_forgotten') }} as forgotten
        on days.conversation_key = farm_fingerprint(forgotten.conversation_id)
    group by days.batch_date
)

select * from days
