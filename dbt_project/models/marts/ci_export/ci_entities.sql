{{
    config(
        materialized='incremental',
        unique_key='entity_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['own_days'],
        post_hook=["{{ delete_superseded() }}", "{{ delete_forgotten_states() }}"]
    )
}}
{%- set landed_from = landed_from() %}
with

conversations as (
    select *
    from {{ ref('ci_conversations') }}
    where landed_at >= {{ landed_from }} and {{ in_days(landed_from) }}
),

entities as (
    select *
    from {{ ref('stg_ci__entities') }}
    where landed_at >= {{ landed_from }}{{ landed_until() }}
),

mentions as (
    select
        conversation_id,
        payload_sha256,
        entity_key,
        landed_at,
        count(*) as mention_count,
        min(turn_index) as first_turn_index
    from {{ ref('stg_ci__annotations') }}
    where landed_at >= {{ landed_from }}{{ landed_until() }} and annotation_type = 'entity_mention'
    group by conversation_id, payload_sha256, entity_key, landed_at
),

joined as (
    select
        {{ surrogate_key(['conversations.conversation_id', 'entities.entity_key']) }} as entity_id,
        conversations.conversation_id,
        conversations.conversation_version_id,
        conversations.analysis_id,
        conversations.payload_sha256,
        entities.entity_key,
        entities.entity,
        entities.entity_type,
        coalesce(mentions.mention_count, 0) as mention_count,
        mentions.first_turn_index,
        entities.salience,
        entities.sentiment_score,
        entities.sentiment_magnitude,
        conversations.batch_date,
        conversations.landed_at
    from conversations
    inner join entities
        on
            conversations.conversation_id = entities.conversation_id
            and conversations.payload_sha256 = entities.payload_sha256
            and conversations.landed_at = entities.landed_at
    left join mentions
        on
            entities.conversation_id = mentions.conversation_id
            and entities.payload_sha256 = mentions.payload_sha256
            and entities.entity_key = mentions.entity_key
            and entities.landed_at = mentions.landed_at
    {{ latest_by('entity_id', 'entities.entity') }}
)

select * from joined
