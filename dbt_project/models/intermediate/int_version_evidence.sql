{# What CI's landed states prove about each version. #}
with

states as (
    select *
    from {{ ref('int_ci_states') }}
),

evidence as (
    select
        conversation_version_id,
        conversation_id,
        max_by(ci_name, ci_updated_at) as ci_conversation_name,
        max_by(analysis_id, analysed_at) as ci_analysis_id,
        min(ci_created_at) as submitted_at,
        min(analysed_at) as first_analysed_at,
        max(analysed_at) as analysed_at,
        max(landed_at) as landed_at
    from states
    group by conversation_version_id, conversation_id
)

select * from evidence
