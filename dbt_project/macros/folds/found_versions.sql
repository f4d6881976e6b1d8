{# Versions that Insights holds, or held, and nobody delivered: another team's conversations, and ours of which no
   file has landed. Their context is what Insights' fields and labels say, where it is one of the words of the
   business. They come before every delivered version of the conversation, and none of them is current once it has
   one. #}
{% macro found_versions(within='true') %}
with

delivered_versions as (
    select *
    from {{ ref('int_conversation_versions') }}
    where {{ within }}
),

state_versions as (
    {{ rows_of(ref('int_ci_state_versions'), ci_state_versions, within) }}
),

delivered as (
    select
        conversation_id,
        min(first_seen_at) as first_seen_at
    from delivered_versions
    group by conversation_id
),

found as (
    select
        states.*,
        min(states.landed_at) over same_version as first_landed_at,
        max(states.landed_at) over same_version as last_landed_at,
        min(states.state_number) over same_version as first_number
    from state_versions as states
    left join delivered_versions as versions
        on states.conversation_version_id = versions.conversation_version_id
    where versions.conversation_version_id is null
    window same_version as (partition by states.conversation_version_id)
),

latest as (
    select *
    from found
    {{ latest_by('conversation_version_id', 'state_number desc') }}
),

known as (
    select
        latest.*,
        delivered.first_seen_at as delivered_at,
        least(
            min(latest.first_landed_at) over from_here,
            coalesce(delivered.first_seen_at, latest.first_landed_at)
        ) as known_at
    from latest
    left join delivered
        on latest.conversation_id = delivered.conversation_id
    window
        from_here as (
            partition by latest.conversation_id
            order by latest.state_number
            rows between current row and unbounded following
        )
),

versions as (
    select
        known.conversation_version_id,
        known.conversation_id,
        known.metadata_sha256,
        known.transcript_sha256,
        known.ci_transcript_uri as transcript_uri,
        directions.direction,
        coalesce(business_lines.business_line, known.business_line) as business_line,
        media.medium,
        known.language_code,
        known.queue,
        known.agent_id,
        known.agent_name,
        known.agent_team,
        known.agent_site,
        known.portfolio_id,
        known.campaign_id,
        coalesce(call_outcomes.call_outcome, known.call_outcome) as call_outcome,
        row_number() over (partition by known.conversation_id order by known.first_number) as version_number,
        known.turn_count,
        known.duration_sec,
        lead(known.known_at) over in_order is null and known.delivered_at is null as is_current,
        known.batch_date,
        known.started_at,
        known.first_landed_at as first_seen_at,
        known.known_at as valid_from,
        coalesce(lead(known.known_at) over in_order, known.delivered_at) as valid_to,
        known.last_landed_at as landed_at
    from known
    left join {{ ref('directions') }} as directions
        on upper(known.direction) = directions.direction
    left join {{ ref('business_lines') }} as business_lines
        on upper(known.business_line) = business_lines.business_line
    left join {{ ref('media') }} as media
        on upper(known.medium) = media.medium
    left join {{ ref('call_outcomes') }} as call_outcomes
        on upper(known.call_outcome) = call_outcomes.call_outcome
    window in_order as (partition by known.conversation_id order by known.state_number)
)

select * from versions
{% endmacro %}
