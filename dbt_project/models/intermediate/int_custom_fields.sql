{{
    config(
        materialized='incremental',
        unique_key='metadata_custom_field_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        merge_exclude_columns=['batch_date', 'landed_at', 'run_id'],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# By content, as text: so a field that is declared later, or with another type, has its older values too. #}
with

landed as (
    select *
    from {{ ref('stg_files__custom_fields') }}
    where landed_at >= {{ landed_from() }}
),

known as (
    select landed.*
    from landed
    left join {{ ref('int_conversations_forgotten') }} as forgotten
        on
            landed.conversation_id = forgotten.conversation_id
            and landed.landed_at <= forgotten.forgotten_at
    where forgotten.conversation_id is null
),

first_landed as (
    select
        {{ surrogate_key(['conversation_id', 'metadata_sha256', 'custom_field']) }} as metadata_custom_field_id,
        conversation_id,
        metadata_sha256,
        custom_field,
        json_type,
        value_text,
        run_id,
        batch_date,
        landed_at
    from known
    {{ latest_by('metadata_custom_field_id', 'landed_at, run_id, conversation_file_id') }}
)

select * from first_landed
