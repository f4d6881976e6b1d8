{{
    config(
        materialized='incremental',
        unique_key='payload_path_id',
        partition_by={'field': 'landed_date', 'data_type': 'date'},
        incremental_predicates=[],
        pre_hook="{{ delete_recounted_days() }}"
    )
}}
{# Every JSON path of the landed Insights payloads, counted by day of landing. JSON_KEYS names all paths but no
   arrays and types; a walk knows those and is costly, so one payload a day is walked for each name: in proto3's
   JSON a field is repeated or it isn't. What lies deeper than the walk goes keeps the name that JSON_KEYS gave
   it, without a type. Keys of maps become `*`; the words of a segment aren't opened. Whole days are counted
   again. #}
{%- set maps = 'labels|entities|intents|phraseMatchers|textSections' -%}
with

source as (
    select
        payload_sha256,
        payload,
        json_keys(payload, mode => 'lax recursive') as fields,
        date(_landed_at) as landed_date,
        _landed_at
    from {{ source('coach_raw', 'ci_conversations') }}
    where _landed_at >= timestamp_trunc({{ landed_from(is_backfilled=false) }}, day)
),

counted as (
    select
        regexp_replace(field, r'(^|\.)({{ maps }})\.("[^"]*"|[^.]+)', r'\1\2.*') as name,
        source.landed_date,
        count(*) as occurrence_count,
        min(source.payload_sha256) as payload_sha256,
        min(source._landed_at) as first_landed_at,
        max(source._landed_at) as landed_at
    from source
    cross join unnest(source.fields) as field
    where field not like '%.words.%'
    group by name, source.landed_date
),

level_0 as (
    select
        landed_date,
        payload_sha256,
        '' as path,
        'object' as json_type,
        payload as value
    from source
    where source.payload_sha256 in (select counted.payload_sha256 from counted)
),

{{ json_levels(maps) }},

walked as (
    select
        landed_date,
        payload_sha256,
        path,
        max(json_type) as json_type
    from nodes
    group by landed_date, payload_sha256, path
),

keyed as (
    select
        {{ surrogate_key(['coalesce(walked.path, counted.name)', 'counted.landed_date']) }} as payload_path_id,
        coalesce(walked.path, counted.name) as path,
        walked.json_type,
        counted.* except (name, payload_sha256)
    from counted
    left join walked
        on
            counted.landed_date = walked.landed_date
            and counted.payload_sha256 = walked.payload_sha256
            and counted.name = replace(walked.path, '[]', '')
)

select * from keyed
