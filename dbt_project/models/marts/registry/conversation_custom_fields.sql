{{
    config(
        materialized='incremental',
        unique_key='conversation_version_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# A column for each field that dbt_project.yml declares. A declaration that was changed needs a full refresh of this
   model alone: the values stand in int_custom_fields as text. #}
{%- set landed_from = landed_from() %}
{%- set days = in_days(landed_from) %}
with

changed as (
    {{ changed_conversations([ref('conversation_registry', v=2)], landed_from, days) }}
),

versions as (
    select registered.*
    from {{ ref('conversation_registry', v=2) }} as registered
    inner join changed
        on registered.conversation_id = changed.conversation_id
    where {{ days }}
),

custom_fields as (
    select *
    from {{ ref('int_custom_fields') }}
    where {{ days }}
),

filled as (
    select
        versions.conversation_version_id,
        versions.conversation_id,
        {#- The defaults are for the linter, which knows no variables. #}
        {%- for field in var('conversation_custom_fields') %}
            {%- set data_type = field.data_type | default('string', true) %}
            {%- set name = field.name | default('field_' ~ loop.index, true) %}
            max(
                if(fields.custom_field = '{{ name }}', {{ custom_value('fields.value_text', data_type) }}, null)
            ) as {{ name }},
        {%- endfor %}
        versions.is_current,
        versions.batch_date,
        versions.landed_at
    from versions
    left join custom_fields as fields
        on
            versions.conversation_id = fields.conversation_id
            and versions.metadata_sha256 = fields.metadata_sha256
    group by
        versions.conversation_version_id,
        versions.conversation_id,
        versions.is_current,
        versions.batch_date,
        versions.landed_at
)

select * from filled
