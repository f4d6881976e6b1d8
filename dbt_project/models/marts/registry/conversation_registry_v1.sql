{{ config(materialized='view') }}
{# The earlier contract, kept alive: one row per conversation, in its words. #}
with

versions as (
    select *
    from {{ ref('conversation_registry', v=2) }}
),

renamed as (
    select
        conversation_id,
        transcript_uri as transcript_uri_raw,
        metadata_uri as metadata_uri_raw,
        transcript_sha256 is not null as has_transcript,
        metadata_sha256 is not null as has_metadata,
        case status
            when 'analysed' then 'ENRICHED'
            when 'submitted' then 'INGESTED'
            when 'failed' then 'FAILED'
            else 'NEW'
        end as status,
        ci_conversation_name,
        ci_analysis_id,
        failure_count as retry_count,
        last_error_message as last_error,
        min(first_seen_at) over (partition by conversation_id) as created_at,
        greatest(valid_from, coalesce(last_event_at, valid_from), coalesce(analysed_at, valid_from)) as updated_at
    from versions
    qualify row_number() over (partition by conversation_id order by is_current desc, version_number desc) = 1
)

select * from renamed
