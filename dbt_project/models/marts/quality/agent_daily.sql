{# A day is the one on the agent's calendar: the date folder has, as a rule, the local date of the call, whereas
   started_at, in UTC, puts an Australian morning on the day before. What a matcher counts as says a seed. #}
{%- set measures = ['compliance_violation', 'empathy', 'escalation_trigger', 'vulnerability'] %}
with

conversations as (
    select
        *,
        batch_date as conversation_date,
        {{ micros('duration_sec') }} as duration_micros,
        {{ micros('customer_sentiment_score') }} as score_micros
    from {{ ref('ci_conversations') }}
    where agent_id is not null and {{ not_quarantined('conversation_id') }}
),

arcs as (
    select
        conversation_id,
        {{ micros('last_third_score') }} - {{ micros('first_third_score') }} as change_micros
    from {{ ref('customer_sentiment_arcs') }}
),

hits as (
    select
        {%- for measure in measures %}
            count(distinct if(measures.measure = '{{ measure }}', matches.turn_id, null)) as {{ measure }}_count,
        {%- endfor %}
        matches.conversation_id
    from {{ ref('ci_phrase_matches') }} as matches
    inner join {{ ref('matcher_measures') }} as measures
        on matches.phrase_matcher = measures.phrase_matcher
    group by matches.conversation_id
),

missing as (
    select
        conversation_id,
        count(*) as missing_disclosure_count
    from {{ ref('missing_disclosures') }}
    group by conversation_id
),

measures as (
    select
        conversations.agent_id,
        conversations.conversation_date,
        custom_values.custom_field,
        count(*) as conversation_count,
        sum(custom_values.value_number) as total
    from conversations
    inner join {{ ref('conversation_custom_values') }} as custom_values
        on conversations.conversation_version_id = custom_values.conversation_version_id
    where custom_values.value_number is not null
    group by conversations.agent_id, conversations.conversation_date, custom_values.custom_field
),

custom as (
    select
        agent_id,
        conversation_date,
        array_agg(
            struct(
                custom_field as name,
                conversation_count as conversation_count,
                cast(total as float64) as total,
                cast(total as float64) / conversation_count as mean
            )
            order by custom_field
        ) as custom_measures
    from measures
    group by agent_id, conversation_date
),

daily as (
    select
        {{ surrogate_key(['conversations.agent_id', 'conversations.conversation_date']) }} as agent_day_id,
        conversations.agent_id,
        {%- for name in ['agent_name', 'agent_team', 'agent_site'] %}
            array_agg(
                conversations.{{ name }} ignore nulls
                order by conversations.started_at desc, conversations.conversation_id desc
            )[safe_offset(0)] as {{ name }},
        {%- endfor %}
        count(*) as conversation_count,
        countif(conversations.is_analysed) as analysed_count,
        count(conversations.score_micros) as scored_conversation_count,
        sum(conversations.duration_micros) / 1000000 as talk_duration_sec,
        {%- for measure in measures %}
            sum(coalesce(hits.{{ measure }}_count, 0)) as {{ measure }}_count,
        {%- endfor %}
        sum(coalesce(missing.missing_disclosure_count, 0)) as missing_disclosure_count,
        {{ mean_of_micros('conversations.score_micros') }} as mean_customer_sentiment_score,
        {{ mean_of_micros('arcs.change_micros') }} as mean_sentiment_change,
        conversations.conversation_date
    from conversations
    left join arcs
        on conversations.conversation_id = arcs.conversation_id
    left join hits
        on conversations.conversation_id = hits.conversation_id
    left join missing
        on conversations.conversation_id = missing.conversation_id
    group by conversations.agent_id, conversations.conversation_date
),

complete as (
    select
        daily.*,
        custom.custom_measures
    from daily
    left join custom
        on
            daily.agent_id = custom.agent_id
            and daily.conversation_date = custom.conversation_date
)

select * from complete
