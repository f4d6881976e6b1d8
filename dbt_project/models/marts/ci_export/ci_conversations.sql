{{
    config(
        materialized='incremental',
        unique_key='conversation_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['own_days'],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# States of one conversation are ordered by the time that Insights states, never by load time. #}
{%- set landed_from = landed_from() %}
{%- set within = in_days(landed_from) %}
with

changed as (
    {{ changed_conversations([ref('int_ci_states')], landed_from, within) }}
),

states as (
    {{ rows_of(ref('int_ci_state_versions'), ci_state_versions, within) }}
),

latest_states as (
    select states.*
    from states
    inner join changed
        on states.conversation_id = changed.conversation_id
    {{ latest_by('states.conversation_id', 'states.state_number desc') }}
),

conversations as (
    select
        conversation_id,
        conversation_version_id,
        analysis_id,
        payload_sha256,
        metadata_sha256,
        transcript_sha256,
        ci_name,
        ci_transcript_uri,
        language_code,
        medium,
        direction,
        business_line,
        queue,
        agent_id,
        agent_name,
        agent_team,
        agent_site,
        portfolio_id,
        campaign_id,
        call_outcome,
        annotator_profile_sha256,
        obfuscated_user_id,
        turn_count,
        billed_turn_count,
        duration_sec,
        customer_sentiment_score,
        customer_sentiment_magnitude,
        analysis_id is not null as is_analysed,
        batch_date,
        started_at,
        ci_created_at,
        ci_updated_at,
        expires_at,
        analysis_requested_at,
        analysed_at,
        landed_at,
        labels
    from latest_states
)

select * from conversations
