{# What was spent stays spent: analyses of conversations that were forgotten since count too. #}
with

charges as (
    select
        conversation_id,
        reason,
        1 as analysis_count,
        billing_unit_count,
        score_count,
        if(has_topics, 1, 0) as topic_count,
        date(analysed_at) as analysed_date
    from {{ ref('ci_analyses') }}
    union all
    select
        concat('forgotten ', forgotten_charge_id) as conversation_id,
        reason,
        analysis_count,
        billing_unit_count,
        score_count,
        topic_count,
        analysed_date
    from {{ ref('int_forgotten_charges') }}
),

counted as (
    select
        reason,
        sum(analysis_count) as analysis_count,
        count(distinct conversation_id) as conversation_count,
        sum(billing_unit_count) as billing_unit_count,
        coalesce(sum(score_count), 0) as score_count,
        coalesce(sum(topic_count), 0) as topic_count,
        analysed_date
    from charges
    group by reason, analysed_date
),

priced as (
    select
        {{ surrogate_key(['analysed_date', 'reason']) }} as ci_cost_id,
        reason,
        analysis_count,
        conversation_count,
        billing_unit_count,
        score_count,
        topic_count,
        billing_unit_count * cast('{{ var("ci_analysis_usd_per_unit") }}' as bignumeric) as analysis_cost_usd,
        score_count * cast('{{ var("ci_usd_per_score") }}' as bignumeric) as score_cost_usd,
        topic_count * cast('{{ var("ci_usd_per_topic_analysis") }}' as bignumeric) as topic_cost_usd,
        analysed_date
    from counted
),

costs as (
    select
        *,
        analysis_cost_usd + score_cost_usd + topic_cost_usd as cost_usd
    from priced
)

select * from costs
