{{
    config(
        materialized='incremental',
        unique_key='payload_path_id',
        partition_by={'field': 'landed_date', 'data_type': 'date'},
        incremental_predicates=[]
    )
}}
{# Whole days are counted again from the watermark's day on, so a count is never added to twice. #}
with

paths as (
    select
        *,
        date(landed_at) as landed_date
    from {{ ref('stg_ci__payload_paths') }}
    where landed_at >= timestamp_trunc({{ landed_from() }}, day)
),

counted as (
    select
        {{ surrogate_key(['path', 'landed_date']) }} as payload_path_id,
        path,
        max(json_type) as json_type,
        count(*) as occurrence_count,
        count(distinct conversation_id) as conversation_count,
        landed_date,
        min(landed_at) as first_landed_at,
        max(landed_at) as landed_at
    from paths
    group by path, landed_date
)

select * from counted
