{# A folder that the sidecar refused left no file, only events: which rule, and where in the file. It is got over by
   any later success of a step on the same folder, and by files of it that land later. The faults are those of the
   last run that refused it. #}
with

events as (
    select *
    from {{ ref('int_pipeline_events') }}
    where step != 'forget'
),

refusals as (
    select *
    from events
    where step = 'validate' and outcome = 'failed'
),

folders as (
    select
        conversation_id,
        batch_date,
        max_by(run_id, concat(format_timestamp('%F %H:%M:%E6S', ended_at), event_id)) as run_id,
        count(distinct run_id) as refusal_count,
        min(ended_at) as first_refused_at,
        max(ended_at) as last_refused_at
    from refusals
    group by conversation_id, batch_date
),

deliveries as (
    select
        conversation_id,
        batch_date,
        ended_at as delivered_at
    from events
    where outcome != 'failed'
    union all
    select
        conversation_id,
        batch_date,
        landed_at as delivered_at
    from {{ ref('int_conversation_files') }}
),

resolutions as (
    select
        folders.conversation_id,
        folders.batch_date,
        min(deliveries.delivered_at) as resolved_at
    from folders
    inner join deliveries
        on
            folders.conversation_id = deliveries.conversation_id
            and folders.batch_date = deliveries.batch_date
            and folders.last_refused_at < deliveries.delivered_at
    group by folders.conversation_id, folders.batch_date
),

faults as (
    select
        folders.conversation_id,
        folders.batch_date,
        array_agg(
            struct(
                coalesce(refusals.error_code, 'UNKNOWN') as rule,
                refusals.error_message as pointer
            )
            order by refusals.error_code, refusals.error_message, refusals.event_id
        ) as faults,
        max(refusals.landed_at) as landed_at
    from folders
    inner join refusals
        on
            folders.conversation_id = refusals.conversation_id
            and folders.batch_date = refusals.batch_date
            and folders.run_id = refusals.run_id
    group by folders.conversation_id, folders.batch_date
),

refused as (
    select
        {{ surrogate_key(['folders.conversation_id', 'folders.batch_date']) }} as refused_conversation_id,
        folders.conversation_id,
        faults.faults[offset(0)].rule as rule,
        faults.faults[offset(0)].pointer as pointer,
        array_length(faults.faults) as fault_count,
        folders.refusal_count,
        resolutions.resolved_at is not null as is_resolved,
        folders.batch_date,
        folders.first_refused_at,
        folders.last_refused_at,
        resolutions.resolved_at,
        faults.landed_at,
        faults.faults
    from folders
    inner join faults
        on
            folders.conversation_id = faults.conversation_id
            and folders.batch_date = faults.batch_date
    left join resolutions
        on
            folders.conversation_id = resolutions.conversation_id
            and folders.batch_date = resolutions.batch_date
)

select * from refused
