{{ config(materialized='table') }}
{# A table of a few rows, made once a build: a dozen models ask it which of their rows have to go. #}
with

events as (
    select
        conversation_id,
        ended_at,
        landed_at
    from {{ ref('int_pipeline_events') }}
    where kept_date = date '1970-01-01' and step = 'forget' and outcome = 'succeeded'
),

forgotten as (
    select
        conversation_id,
        max(greatest(ended_at, landed_at)) as forgotten_at
    from events
    group by conversation_id
)

select * from forgotten
