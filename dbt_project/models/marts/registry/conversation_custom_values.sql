{{ config(materialized='view') }}
with

declared as (
    {{ declared_custom_fields() }}
),

told as (
    select
        {{ surrogate_key(['versions.conversation_version_id', 'fields.custom_field']) }} as custom_value_id,
        versions.conversation_id,
        versions.conversation_version_id,
        fields.custom_field,
        declared.data_type,
        fields.json_type,
        fields.value_text,
        if(declared.data_type in ('int64', 'float64'), safe_cast(fields.value_text as float64), null) as value_number,
        declared.custom_field is not null as is_declared,
        coalesce(declared.is_personal, false) as is_personal,
        coalesce(
            fields.value_text is not null
            and case declared.data_type
                {%- for data_type in ['int64', 'float64', 'bool', 'date', 'timestamp'] %}
                    when '{{ data_type }}' then {{ custom_value('fields.value_text', data_type) }} is null
                {%- endfor %}
                else false
            end,
            false
        ) as is_of_another_type,
        versions.is_current,
        versions.batch_date,
        fields.landed_at
    from {{ ref('int_custom_fields') }} as fields
    inner join {{ ref('int_conversation_versions') }} as versions
        on
            fields.conversation_id = versions.conversation_id
            and fields.metadata_sha256 = versions.metadata_sha256
    left join declared
        on fields.custom_field = declared.custom_field
)

select * from told
