{# Law: by day, conversations, analyses and turns in the export marts equal those of the registry.
   Reports are made from either; a difference means that a build lost or doubled rows. #}
with

registered as (
    select
        batch_date,
        count(*) as conversation_count,
        sum(turn_count) as turn_count
    from {{ ref('conversation_registry_current') }}
    where status = 'analysed'
    group by batch_date
),

exported as (
    select
        versions.batch_date,
        count(distinct turns.conversation_id) as conversation_count,
        count(*) as turn_count
    from {{ ref('ci_turns') }} as turns
    inner join {{ ref('conversation_registry_current') }} as versions
        on turns.conversation_version_id = versions.conversation_version_id
    where turns.analysis_id is not null and versions.status = 'analysed'
    group by versions.batch_date
)

select coalesce(registered.batch_date, exported.batch_date) as batch_date
from registered
full outer join exported
    on registered.batch_date = exported.batch_date
where
    coalesce(registered.conversation_count, 0) != coalesce(exported.conversation_count, 0)
    or coalesce(registered.turn_count, 0) != coalesce(exported.turn_count, 0)
