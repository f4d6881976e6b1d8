{# Every member of `custom` in landed metadata, as text: of an object or a list its JSON, and null where it is null. #}
with

source as (
    select
        {{ surrogate_key(['uri', 'generation']) }} as conversation_file_id,
        conversation_id,
        content_sha256,
        json_query(payload, '$.custom') as custom,
        batch_date,
        _run_id,
        _landed_at
    from {{ source('coach_raw', 'conversation_files') }}
    where
        _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
        and kind = 'metadata'
),

members as (
    select
        source.*,
        custom_field
    from source
    cross join unnest(json_keys(source.custom, 1)) as custom_field
),

parsed as (
    select
        conversation_file_id,
        conversation_id,
        content_sha256 as metadata_sha256,
        custom_field,
        json_type(custom[custom_field]) as json_type,
        coalesce(
            json_value(custom[custom_field]),
            nullif(to_json_string(custom[custom_field]), 'null')
        ) as value_text,
        _run_id as run_id,
        batch_date,
        _landed_at as landed_at
    from members
)

select * from parsed
