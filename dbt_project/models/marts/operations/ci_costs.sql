with

analyses as (
    select
        *,
        date(analysed_at) as analysed_date
    from {{ ref('ci_analyses') }}
),

costs as (
    select
        {{ surrogate_key(['analysed_date', 'reason']) }} as ci_cost_id,
        reason,
        count(*) as analysis_count,
        count(distinct conversation_id) as conversation_count,
        sum(billing_unit_count) as billing_unit_count,
        sum(billing_unit_count) * cast('{{ var("ci_analysis_usd_per_unit") }}' as bignumeric) as cost_usd,
        analysed_date
    from analyses
    group by reason, analysed_date
)

select * from costs
