{# Insights has every label that a delivered version's metadata makes, the user's own too, and no other but those that
   custom fields ask for; and its language, agent and start are those of the metadata. One of the expectations of
   macros/quarantine.sql. #}
{% macro odd_labels() %}
    {%- set version_labels -%}
        'batch_date', 'metadata_sha256', 'transcript_sha256'
    {%- endset -%}
    with

    declared as (
        {{ declared_custom_fields() | indent(8) }}
    ),

    custom_labels as (
        select custom_field as label_key
        from declared
        where is_label
    ),

    conversations as (
        select conversations.*
        from {{ ref('ci_conversations') }} as conversations
        inner join {{ ref('conversation_registry', v=2) }} as versions
            on conversations.conversation_version_id = versions.conversation_version_id
        where versions.origin = 'delivered'
    ),

    labelled as (
        select
            conversations.conversation_version_id,
            label.key as label_key,
            label.value as label_value
        from conversations
        cross join unnest(conversations.labels) as label
        where
            label.key not in ({{ version_labels }})
            and label.key not in (select custom_labels.label_key from custom_labels)
    ),

    stated as (
        select
            versions.conversation_version_id,
            statement.label_key,
            substr(statement.label_value, 1, 256) as label_value
        from {{ ref('conversation_registry', v=2) }} as versions
        inner join conversations
            on versions.conversation_version_id = conversations.conversation_version_id
        cross join
            unnest([
                struct('schema_version' as label_key, versions.schema_version as label_value),
                struct('direction' as label_key, versions.direction as label_value),
                struct('business_line' as label_key, versions.business_line as label_value),
                struct('medium' as label_key, versions.medium as label_value),
                struct('queue' as label_key, versions.queue as label_value),
                struct('agent_team' as label_key, versions.agent_team as label_value),
                struct('agent_site' as label_key, versions.agent_site as label_value),
                struct('call_outcome' as label_key, versions.call_outcome as label_value),
                struct('portfolio_id' as label_key, versions.portfolio_id as label_value),
                struct('campaign_id' as label_key, versions.campaign_id as label_value)
            ]) as statement
        where statement.label_value is not null
        union all
        select
            conversations.conversation_version_id,
            label.key as label_key,
            label.value as label_value
        from conversations
        inner join {{ ref('int_version_files') }} as metadata_files
            on
                conversations.conversation_id = metadata_files.conversation_id
                and conversations.metadata_sha256 = metadata_files.content_sha256
                and metadata_files.kind = 'metadata'
        cross join unnest(metadata_files.labels) as label
        where
            label.key not in ({{ version_labels }})
            and label.key not in (
                'schema_version', 'direction', 'business_line', 'medium', 'queue', 'agent_team', 'agent_site',
                'call_outcome', 'portfolio_id', 'campaign_id'
            )
            and label.key not in (select custom_labels.label_key from custom_labels)
    ),

    wrong_labels as (
        select coalesce(labelled.conversation_version_id, stated.conversation_version_id) as conversation_version_id
        from labelled
        full outer join stated
            on
                labelled.conversation_version_id = stated.conversation_version_id
                and labelled.label_key = stated.label_key
        where labelled.label_value is distinct from stated.label_value
    ),

    wrong_fields as (
        select versions.conversation_version_id
        from conversations
        inner join {{ ref('conversation_registry', v=2) }} as versions
            on conversations.conversation_version_id = versions.conversation_version_id
        left join {{ ref('media') }} as media
            on versions.medium = media.medium
        where
            conversations.direction is distinct from versions.direction
            or conversations.business_line is distinct from versions.business_line
            or conversations.medium is distinct from media.insights_medium
            or conversations.language_code is distinct from versions.language_code
            or conversations.queue is distinct from substr(versions.queue, 1, 256)
            or conversations.agent_id is distinct from versions.agent_id
            or conversations.agent_name is distinct from versions.agent_name
            or conversations.agent_team is distinct from versions.agent_team
            or conversations.agent_site is distinct from versions.agent_site
            or conversations.call_outcome is distinct from versions.call_outcome
            or conversations.portfolio_id is distinct from substr(versions.portfolio_id, 1, 256)
            or conversations.campaign_id is distinct from substr(versions.campaign_id, 1, 256)
            or conversations.started_at is distinct from versions.started_at
    )

    select conversations.conversation_id
    from conversations
    where
        conversations.conversation_version_id in (select conversation_version_id from wrong_labels)
        or conversations.conversation_version_id in (select conversation_version_id from wrong_fields)
{% endmacro %}
