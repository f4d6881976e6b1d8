{# Law: no custom field that was delivered is lost. What landed within seven days, save within the last hour, stands in
   int_custom_fields with its text; what stands there is of a version, so that conversation_custom_values shows it; and
   a declared field has the value of its text in its column of conversation_custom_fields. #}
with

landed as (
    select *
    from {{ ref('stg_files__custom_fields') }}
    where
        landed_at >= timestamp_sub(current_timestamp(), interval 7 day)
        and landed_at < timestamp_sub(current_timestamp(), interval 1 hour)
),

unread as (
    select
        landed.conversation_id,
        landed.custom_field
    from landed
    left join {{ ref('int_custom_fields') }} as held
        on
            landed.conversation_id = held.conversation_id
            and landed.metadata_sha256 = held.metadata_sha256
            and landed.custom_field = held.custom_field
    left join {{ ref('int_conversations_forgotten') }} as forgotten
        on landed.conversation_id = forgotten.conversation_id
    where
        (held.custom_field is null or held.value_text is distinct from landed.value_text)
        and (forgotten.conversation_id is null or landed.landed_at > forgotten.forgotten_at)
),

unversioned as (
    select
        fields.conversation_id,
        fields.custom_field
    from {{ ref('int_custom_fields') }} as fields
    left join {{ ref('int_conversation_versions') }} as versions
        on
            fields.conversation_id = versions.conversation_id
            and fields.metadata_sha256 = versions.metadata_sha256
    where versions.conversation_version_id is null
)

select * from unread
union all
select * from unversioned
{%- for field in var('conversation_custom_fields') %}
    {%- set data_type = field.data_type | default('string', true) %}
    {%- set name = field.name | default('field_' ~ loop.index, true) %}
    union all
    select
        told.conversation_id,
        told.custom_field
    from {{ ref('conversation_custom_values') }} as told
    left join {{ ref('conversation_custom_fields') }} as typed
        on told.conversation_version_id = typed.conversation_version_id
    where
        told.custom_field = '{{ name }}'
        and {{ custom_value('told.value_text', data_type) }} is distinct from typed.{{ name }}
{%- endfor %}
