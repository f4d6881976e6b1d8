with

versions as (
    select
        *,
        is_current and origin = 'delivered' as is_delivered,
        metadata_sha256 is not null and transcript_sha256 is not null as is_complete,
        submitted_at is not null as is_submitted,
        coalesce(open_reason = 'not_for_insights', false) as is_kept_here
    from {{ ref('conversation_registry', v=2) }}
),

failures as (
    select
        batch_date,
        coalesce(error_code, 'UNKNOWN') as error_code,
        count(*) as failure_count
    from {{ ref('int_pipeline_events') }}
    where outcome = 'failed'
    group by batch_date, coalesce(error_code, 'UNKNOWN')
),

failure_days as (
    select
        batch_date,
        sum(failure_count) as failure_count,
        array_agg(
            struct(error_code as error_code, failure_count as failure_count) order by error_code
        ) as failures_by_code
    from failures
    group by batch_date
),

refusals as (
    select
        batch_date,
        count(*) as refused_count
    from {{ ref('refused_conversations') }}
    where not is_resolved
    group by batch_date
),

funnel as (
    select
        batch_date,
        count(*) as version_count,
        countif(is_current) as conversation_count,
        countif(is_current and starts_with(status, 'waiting')) as waiting_count,
        countif(is_current and status = 'registered' and not is_kept_here) as registered_count,
        countif(is_current and is_kept_here) as not_for_insights_count,
        countif(is_current and status = 'submitted') as submitted_count,
        countif(is_current and status = 'analysed') as analysed_count,
        countif(is_current and status = 'failed') as failed_count,
        countif(is_current and origin = 'found_in_insights') as found_count,
        countif(is_delivered) as funnel_delivered_count,
        countif(is_delivered and is_complete) as funnel_complete_count,
        countif(is_delivered and is_complete and is_submitted) as funnel_in_insights_count,
        countif(is_delivered and is_complete and is_submitted and status = 'analysed') as funnel_analysed_count,
        {{ percentile('upload_latency_sec', 50) }} as upload_latency_p50_sec,
        {{ percentile('upload_latency_sec', 95) }} as upload_latency_p95_sec,
        {{ percentile('submit_latency_sec', 50) }} as submit_latency_p50_sec,
        {{ percentile('submit_latency_sec', 95) }} as submit_latency_p95_sec,
        {{ percentile('analyse_latency_sec', 50) }} as analyse_latency_p50_sec,
        {{ percentile('analyse_latency_sec', 95) }} as analyse_latency_p95_sec
    from versions
    group by batch_date
),

days as (
    select
        coalesce(funnel.batch_date, failure_days.batch_date) as batch_date,
        coalesce(funnel.version_count, 0) as version_count,
        coalesce(funnel.conversation_count, 0) as conversation_count,
        coalesce(funnel.waiting_count, 0) as waiting_count,
        coalesce(funnel.registered_count, 0) as registered_count,
        coalesce(funnel.not_for_insights_count, 0) as not_for_insights_count,
        coalesce(funnel.submitted_count, 0) as submitted_count,
        coalesce(funnel.analysed_count, 0) as analysed_count,
        coalesce(funnel.failed_count, 0) as failed_count,
        coalesce(funnel.found_count, 0) as found_count,
        coalesce(refusals.refused_count, 0) as refused_count,
        coalesce(funnel.funnel_delivered_count, 0) as funnel_delivered_count,
        coalesce(funnel.funnel_complete_count, 0) as funnel_complete_count,
        coalesce(funnel.funnel_in_insights_count, 0) as funnel_in_insights_count,
        coalesce(funnel.funnel_analysed_count, 0) as funnel_analysed_count,
        coalesce(failure_days.failure_count, 0) as failure_count,
        safe_divide(funnel.analysed_count, funnel.conversation_count) as analysed_share,
        funnel.upload_latency_p50_sec,
        funnel.upload_latency_p95_sec,
        funnel.submit_latency_p50_sec,
        funnel.submit_latency_p95_sec,
        funnel.analyse_latency_p50_sec,
        funnel.analyse_latency_p95_sec,
        failure_days.failures_by_code
    from funnel
    full outer join failure_days
        on funnel.batch_date = failure_days.batch_date
    left join refusals
        on coalesce(funnel.batch_date, failure_days.batch_date) = refusals.batch_date
)

select * from days
