{# Law: by day, conversations, current analyses and turns in the export marts equal those of the registry. Reports
   are made from either; a difference means that a build lost or doubled rows, or dated them otherwise. A talk
   delivered again from a later folder bears that folder's day in Insights; it counts on the registry's. What
   stands in quarantine isn't counted. #}
with

registered as (
    select
        'conversations' as kind,
        batch_date,
        count(*) as row_count
    from {{ ref('conversation_registry_current') }}
    where status = 'analysed' and {{ not_quarantined('conversation_id') }}
    group by batch_date
    union all
    select
        'analyses' as kind,
        batch_date,
        count(*) as row_count
    from {{ ref('conversation_registry_current') }}
    where status = 'analysed' and {{ not_quarantined('conversation_id') }}
    group by batch_date
    union all
    select
        'turns' as kind,
        batch_date,
        sum(turn_count) as row_count
    from {{ ref('conversation_registry_current') }}
    where status = 'analysed' and {{ not_quarantined('conversation_id') }}
    group by batch_date
),

facts as (
    select
        'conversations' as kind,
        conversation_id,
        conversation_version_id,
        batch_date
    from {{ ref('ci_conversations') }}
    where is_analysed
    union all
    select
        'analyses' as kind,
        conversation_id,
        conversation_version_id,
        batch_date
    from {{ ref('ci_analyses') }}
    where is_current
    union all
    select
        'turns' as kind,
        conversation_id,
        conversation_version_id,
        batch_date
    from {{ ref('ci_turns') }}
    where analysis_id is not null
),

deliveries as (
    select
        conversation_id,
        batch_date
    from {{ ref('int_conversation_files') }}
    group by conversation_id, batch_date
),

dated as (
    select
        facts.kind,
        if(deliveries.batch_date is null, facts.batch_date, coalesce(versions.batch_date, facts.batch_date))
            as batch_date
    from facts
    left join {{ ref('conversation_registry', v=2) }} as versions
        on facts.conversation_version_id = versions.conversation_version_id
    left join deliveries
        on
            facts.conversation_id = deliveries.conversation_id
            and facts.batch_date = deliveries.batch_date
    where coalesce(versions.is_current, true) and {{ not_quarantined('facts.conversation_id') }}
),

exported as (
    select
        kind,
        batch_date,
        count(*) as row_count
    from dated
    group by kind, batch_date
)

select
    coalesce(registered.kind, exported.kind) as kind,
    coalesce(registered.batch_date, exported.batch_date) as batch_date,
    registered.row_count as registered_count,
    exported.row_count as exported_count
from registered
full outer join exported
    on
        registered.kind = exported.kind
        and registered.batch_date = exported.batch_date
where coalesce(registered.row_count, 0) != coalesce(exported.row_count, 0)
