{{ config(materialized='table') }}
{# One row a day, made once a build: every model asks it which days it has to read. It keeps what the build before it
   knew, as a literal: from there a model looks that has no rows to have a watermark of (see `landed_from`). #}
{%- set before = none %}
{%- if execute and not var('offline_compile', '') and load_relation(this) is not none %}
    {%- set before = watermark_where('true', 0) %}
{%- endif %}
with

days as (
    select
        batch_date,
        max(landed_at) as landed_at,
        cast({{ "'" ~ before ~ "+00'" if before else 'null' }} as timestamp) as known_before
    from {{ ref('int_conversation_days') }}
    group by batch_date
)

select * from days
