{# What was spent stays spent: analyses of conversations that were forgotten since count too. #}
with

charges as (
    select
        conversation_id,
        reason,
        1 as analysis_count,
        billing_unit_count,
        date(analysed_at) as analysed_date
    from {{ ref('ci_analyses') }}
    union all
    select
        concat('forgotten ', forgotten_charge_id) as conversation_id,
        reason,
        analysis_count,
        billing_unit_count,
        analysed_date
    from {{ ref('int_forgotten_charges') }}
),

costs as (
    select
        {{ surrogate_key(['analysed_date', 'reason']) }} as ci_cost_id,
        reason,
        sum(analysis_count) as analysis_count,
        count(distinct conversation_id) as conversation_count,
        sum(billing_unit_count) as billing_unit_count,
        sum(billing_unit_count) * cast('{{ var("ci_analysis_usd_per_unit") }}' as bignumeric) as cost_usd,
        analysed_date
    from charges
    group by reason, analysed_date
)

select * from costs
