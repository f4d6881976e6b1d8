{# When each matcher revision was in force; the first one also stands for the time before it. #}
with

rules as (
    select *
    from {{ ref('stg_ci__phrase_match_rules') }}
),

revisions as (
    select
        phrase_matcher_id,
        revision_id,
        min(revised_at) as revised_at,
        min(landed_at) as landed_at
    from rules
    group by phrase_matcher_id, revision_id
),

ranges as (
    select
        phrase_matcher_id,
        revision_id,
        if(
            lag(revised_at) over in_order is null, timestamp '1970-01-01 00:00:00+00', revised_at
        ) as in_force_from,
        coalesce(lead(revised_at) over in_order, timestamp '9999-12-31 00:00:00+00') as in_force_to,
        landed_at
    from revisions
    window in_order as (partition by phrase_matcher_id order by revised_at, revision_id)
)

select * from ranges
