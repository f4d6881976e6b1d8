{{
    config(
        materialized='incremental',
        unique_key='metadata_custom_field_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# By content, as text: so a field that is declared later, or with another type, has its older values too. #}
{%- set landed_from = landed_from() %}
{%- set within = in_days(landed_from) %}
with

landed as (
    select *
    from {{ ref('stg_files__custom_fields') }}
    where
        landed_at >= {{ landed_from }}{{ landed_until() }}
        and {{ within }}
        and {{ is_indexed(landed_from, within) }}
),

known as (
    {{ unforgotten('landed') }}
),

first_files as (
    {{ first_files('metadata', within) }}
),

first_landed as (
    select
        {{ surrogate_key([
            'known.conversation_id', 'known.metadata_sha256', 'known.custom_field'
        ]) }} as metadata_custom_field_id,
        known.conversation_id,
        known.metadata_sha256,
        known.custom_field,
        known.json_type,
        known.value_text,
        coalesce(first_files.run_id, known.run_id) as run_id,
        coalesce(first_files.batch_date, known.batch_date) as batch_date,
        coalesce(first_files.landed_at, known.landed_at) as landed_at
    from known
    left join first_files
        on
            known.conversation_id = first_files.conversation_id
            and known.metadata_sha256 = first_files.content_sha256
    {{ latest_by('metadata_custom_field_id', 'known.landed_at, known.run_id, known.conversation_file_id') }}
)

select * from first_landed
