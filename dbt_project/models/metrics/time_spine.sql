{# One row a day: MetricFlow joins measures of different tables on it, and fills days without any. #}
with

days as (
    select date_day
    from unnest(generate_date_array(date '{{ var("raw_start_date") }}', date '2049-12-31')) as date_day
)

select * from days
