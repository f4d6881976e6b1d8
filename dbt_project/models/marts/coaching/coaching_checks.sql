with

judged as (
    select *
    from {{ ref('int_coaching_judged') }}
)

select * from judged
