with

paths as (
    select *
    from {{ ref('stg_ci__payload_paths') }}
),

summed as (
    select
        path,
        max(json_type) as example_type,
        sum(occurrence_count) as occurrence_count,
        count(*) as day_count,
        min(first_landed_at) as first_seen_at,
        max(landed_at) as last_seen_at
    from paths
    group by path
),

read_too as (
    select summed.path
    from summed
    cross join {{ ref('ci_read_paths') }} as read_paths
    where
        summed.path = read_paths.path
        or starts_with(read_paths.path, concat(summed.path, '.'))
        or starts_with(read_paths.path, concat(summed.path, '[]'))
    group by summed.path
),

unread as (
    select summed.*
    from summed
    left join read_too
        on summed.path = read_too.path
    where read_too.path is null
)

select * from unread
