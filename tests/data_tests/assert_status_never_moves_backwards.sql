{# Law: in the order of events a version only comes further. Once an analysis of it has landed it is analysed,
   whatever fails later; once Insights holds it, it is submitted; it stands as failed if and only if its last event
   failed. Content that returns starts again: what landed before its return needn't count.
   Events that landed within seven days are asked as they landed, so that one which no build has merged is missed
   here; older ones, judged so when they landed, as they were merged. Those from before a forgetting are in no build.
   Work lists and costs depend on it; a version that fell back would be analysed, and billed, again. #}
with

events as (
    select
        conversation_version_id,
        event_id,
        step,
        outcome,
        ended_at
    from {{ ref('int_pipeline_events') }}
    union all
    select
        landed.conversation_version_id,
        landed.event_id,
        landed.step,
        landed.outcome,
        landed.ended_at
    from {{ ref('stg_pipeline__events') }} as landed
    left join {{ ref('int_conversations_forgotten') }} as forgotten
        on landed.conversation_id = forgotten.conversation_id
    where
        landed.landed_at >= timestamp_sub(current_timestamp(), interval 7 day)
        and (
            forgotten.conversation_id is null
            or least(landed.ended_at, landed.landed_at) > forgotten.forgotten_at
        )
),

last_events as (
    select
        conversation_version_id,
        array_agg(outcome order by ended_at desc, event_id desc limit 1)[offset(0)] = 'failed' as is_failed
    from events
    where step not in ('validate', 'forget')
    group by conversation_version_id
),

proofs as (
    select
        versions.conversation_version_id,
        logical_or(states.analysis_id is not null) as was_ever_analysed,
        logical_or(
            states.analysis_id is not null
            and (versions.valid_from = versions.first_seen_at or states.landed_at >= versions.valid_from)
        ) as is_analysed,
        logical_or(versions.valid_from = versions.first_seen_at or states.landed_at >= versions.valid_from)
            as is_submitted
    from {{ ref('conversation_registry', v=2) }} as versions
    inner join {{ ref('int_ci_state_versions') }} as states
        on versions.conversation_version_id = states.conversation_version_id
    group by versions.conversation_version_id
)

select versions.conversation_version_id
from {{ ref('conversation_registry', v=2) }} as versions
left join last_events
    on versions.conversation_version_id = last_events.conversation_version_id
left join proofs
    on versions.conversation_version_id = proofs.conversation_version_id
where
    (versions.status != 'analysed' and coalesce(proofs.is_analysed, false))
    or (versions.status not in ('submitted', 'analysed', 'failed') and coalesce(proofs.is_submitted, false))
    or (versions.status = 'failed' and not coalesce(last_events.is_failed, false))
    or (versions.status not in ('analysed', 'failed') and coalesce(last_events.is_failed, false))
    or (
        versions.status = 'analysed'
        and coalesce(last_events.is_failed, false)
        and not coalesce(proofs.was_ever_analysed, false)
    )
    or (coalesce(proofs.is_submitted, false) and versions.submitted_at is null)
    or versions.submitted_at > versions.analysed_at
