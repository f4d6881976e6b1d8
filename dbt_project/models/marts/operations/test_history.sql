{{
    config(
        enabled=var('keep_test_history'),
        materialized='incremental',
        unique_key='test_result_id',
        partition_by={'field': 'run_date', 'data_type': 'date'},
        incremental_predicates=[],
        full_refresh=false
    )
}}
{# Empty when it is made: `keep_test_results` adds to it at the end of each run. #}
with

nothing as (
    select
        cast(null as string) as test_result_id,
        cast(null as string) as invocation_id,
        cast(null as string) as test_name,
        cast(null as string) as model_name,
        cast(null as string) as status,
        cast(null as int64) as failing_row_count,
        cast(null as date) as run_date,
        cast(null as timestamp) as run_at
    from unnest(array<int64>[])
)

select * from nothing
