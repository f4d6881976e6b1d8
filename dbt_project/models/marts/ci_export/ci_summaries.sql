{{
    config(
        materialized='incremental',
        unique_key='conversation_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['own_days'],
        post_hook=["{{ delete_superseded() }}", "{{ delete_forgotten_states() }}"]
    )
}}
{# Few conversations may have a summary, so the watermark may be old: typed states are read, no payloads. #}
{%- set landed_from = landed_from() %}
{%- set within = in_days(landed_from) %}
with

conversations as (
    select *
    from {{ ref('ci_conversations') }}
    where landed_at >= {{ landed_from }} and {{ within }}
),

summaries as (
    select
        conversations.conversation_id,
        conversations.conversation_version_id,
        conversations.payload_sha256,
        states.summary.text as summary,
        (
            select max(section.value)
            from unnest(states.summary.text_sections) as section
            where section.key = 'situation'
        ) as situation,
        (
            select max(section.value)
            from unnest(states.summary.text_sections) as section
            where section.key = 'action'
        ) as action,
        (
            select max(section.value)
            from unnest(states.summary.text_sections) as section
            where section.key = 'resolution'
        ) as resolution,
        states.summary.answer_record,
        states.summary.conversation_model,
        states.summary.confidence,
        conversations.batch_date,
        conversations.landed_at,
        states.summary.text_sections
    from conversations
    inner join {{ ref('int_ci_states') }} as states
        on
            conversations.conversation_id = states.conversation_id
            and conversations.payload_sha256 = states.payload_sha256
    where states.summary is not null and {{ within | replace('batch_date', 'states.batch_date') }}
)

select * from summaries
