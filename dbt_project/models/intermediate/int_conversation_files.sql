{{
    config(
        materialized='incremental',
        unique_key='conversation_file_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['days_of_source:batch_date', 'first_landing'],
        post_hook="{{ delete_forgotten(of_facts=true) }}"
    )
}}
{# File facts never change, so only what landed since the watermark is read, and JSON is opened once.
   The same object landed by two runs belongs to the run that landed it first. #}
with

landed as (
    select *
    from {{ ref('stg_files__conversation_files') }}
    where landed_at >= {{ landed_from() }}{{ landed_until() }}
),

known as (
    {{ unforgotten('landed') }}
),

first_landed as (
    select *
    from known
    {{ latest_by('conversation_file_id', 'landed_at, run_id') }}
)

select * from first_landed
