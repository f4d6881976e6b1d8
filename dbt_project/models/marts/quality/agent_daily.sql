{# A day is the one on the agent's calendar: the date folder has, as a rule, the local date of the call, whereas
   started_at, in UTC, puts an Australian morning on the day before. #}
with

conversations as (
    select
        *,
        batch_date as conversation_date
    from {{ ref('ci_conversations') }}
    where agent_id is not null
),

arcs as (
    select *
    from {{ ref('customer_sentiment_arcs') }}
),

hits as (
    select
        conversation_id,
        count(distinct if(phrase_matcher = 'compliance_violations', turn_id, null)) as compliance_violation_count,
        count(distinct if(phrase_matcher = 'empathy_indicators', turn_id, null)) as empathy_count,
        count(distinct if(phrase_matcher = 'escalation_triggers', turn_id, null)) as escalation_trigger_count,
        count(distinct if(phrase_matcher = 'vulnerability_indicators', turn_id, null)) as vulnerability_count
    from {{ ref('ci_phrase_matches') }}
    group by conversation_id
),

missing as (
    select
        conversation_id,
        count(*) as missing_disclosure_count
    from {{ ref('missing_disclosures') }}
    group by conversation_id
),

daily as (
    select
        {{ surrogate_key(['conversations.agent_id', 'conversations.conversation_date']) }} as agent_day_id,
        conversations.agent_id,
        any_value(conversations.agent_name) as agent_name,
        any_value(conversations.agent_team) as agent_team,
        any_value(conversations.agent_site) as agent_site,
        count(*) as conversation_count,
        countif(conversations.is_analysed) as analysed_count,
        sum(conversations.duration_sec) as talk_duration_sec,
        sum(coalesce(hits.compliance_violation_count, 0)) as compliance_violation_count,
        sum(coalesce(hits.empathy_count, 0)) as empathy_count,
        sum(coalesce(hits.escalation_trigger_count, 0)) as escalation_trigger_count,
        sum(coalesce(hits.vulnerability_count, 0)) as vulnerability_count,
        sum(coalesce(missing.missing_disclosure_count, 0)) as missing_disclosure_count,
        avg(arcs.mean_sentiment_score) as mean_customer_sentiment_score,
        avg(arcs.last_third_score - arcs.first_third_score) as mean_sentiment_change,
        conversations.conversation_date
    from conversations
    left join arcs
        on conversations.conversation_id = arcs.conversation_id
    left join hits
        on conversations.conversation_id = hits.conversation_id
    left join missing
        on conversations.conversation_id = missing.conversation_id
    group by conversations.agent_id, conversations.conversation_date
)

select * from daily
