{{ config(materialized='view') }}
with

current_versions as (
    select *
    from {{ ref('conversation_registry', v=2) }}
    where is_current
)

select * from current_versions
