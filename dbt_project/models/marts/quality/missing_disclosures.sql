with

conversations as (
    select *
    from {{ ref('ci_conversations') }}
    where {{ not_quarantined('conversation_id') }}
),

required as (
    select
        conversations.*,
        rules.disclosure
    from conversations
    inner join {{ ref('required_disclosures') }} as rules
        on
            conversations.business_line = rules.business_line
            and conversations.direction = rules.direction
            and conversations.medium = rules.medium
    where
        conversations.call_outcome is null
        or conversations.call_outcome not in unnest(split(coalesce(rules.exempt_call_outcomes, ''), '|'))
),

missing as (
    select
        {{ surrogate_key(['required.conversation_id', 'required.disclosure']) }} as missing_disclosure_id,
        required.conversation_id,
        required.conversation_version_id,
        required.disclosure,
        required.agent_id,
        required.agent_name,
        required.agent_team,
        required.business_line,
        required.direction,
        required.call_outcome,
        required.batch_date,
        required.started_at,
        required.landed_at
    from required
    left join {{ ref('int_disclosures_said') }} as said
        on
            required.conversation_id = said.conversation_id
            and required.payload_sha256 = said.payload_sha256
            and required.disclosure = said.disclosure
    where said.disclosure is null
)

select * from missing
