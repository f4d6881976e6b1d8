{# What Insights' landed states prove about each version. Content that returns after Insights held another version's
   is not in Insights again before it is sent again: for the current version only the states count that came
   after the last one of another version. An older version, and a found one, keeps all that it ever proved. #}
{% macro version_evidence(within='true') %}
with

delivered_versions as (
    select *
    from {{ ref('int_conversation_versions') }}
    where {{ within }}
),

state_versions as (
    {{ rows_of(ref('int_ci_state_versions'), ci_state_versions, within) }}
),

states as (
    select
        *,
        first_value(conversation_version_id) over (
            partition by conversation_id
            order by state_number desc
        ) as held_version_id
    from state_versions
),

placed as (
    select
        *,
        logical_and(conversation_version_id = held_version_id) over (
            partition by conversation_id
            order by state_number desc
            rows between unbounded preceding and current row
        ) as is_of_latest_stay
    from states
),

evidence as (
    select
        placed.conversation_version_id,
        placed.conversation_id,
        max_by(placed.ci_name, placed.state_number) as ci_conversation_name,
        max_by(
            placed.analysis_id,
            if(
                placed.analysis_id is null,
                null,
                concat(format_timestamp('%F %H:%M:%E6S', placed.analysed_at), placed.analysis_id)
            )
        ) as ci_analysis_id,
        min(placed.ci_created_at) as submitted_at,
        min(placed.analysed_at) as first_analysed_at,
        max(placed.analysed_at) as analysed_at,
        max(placed.landed_at) as landed_at
    from placed
    left join delivered_versions as versions
        on placed.conversation_version_id = versions.conversation_version_id
    where placed.is_of_latest_stay or not coalesce(versions.is_current, false)
    group by placed.conversation_version_id, placed.conversation_id
)

select * from evidence
{% endmacro %}
