{{
    config(
        materialized='incremental',
        unique_key='conversation_version_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['literal_range:batch_date', 'whole_conversations'],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# Files that one run landed change a conversation together; runs are ordered by GCS generation, never
   by load time. After each run the two hashes are a version; content seen again is its old version. #}
with

changed as (
    {{ changed_conversations([ref('int_conversation_files')], landed_from()) }}
),

runs as (
    select all_runs.*
    from {{ ref('int_conversation_runs') }} as all_runs
    inner join changed
        on all_runs.conversation_id = changed.conversation_id
),

states as (
    select
        conversation_id,
        state_order,
        batch_date,
        landed_at,
        last_value(metadata_sha256 ignore nulls) over so_far as metadata_sha256,
        last_value(transcript_sha256 ignore nulls) over so_far as transcript_sha256,
        min(landed_at) over from_here as known_at
    from runs
    window
        in_order as (partition by conversation_id order by state_order, run_id),
        so_far as (in_order rows between unbounded preceding and current row),
        from_here as (in_order rows between current row and unbounded following)
),

stays as (
    select
        *,
        {{ surrogate_key(['conversation_id', 'metadata_sha256', 'transcript_sha256']) }}
            as conversation_version_id
    from states
    qualify
        row_number() over in_order = 1
        or metadata_sha256 is distinct from lag(metadata_sha256) over in_order
        or transcript_sha256 is distinct from lag(transcript_sha256) over in_order
    window in_order as (partition by conversation_id order by state_order)
),

versions as (
    select
        *,
        lead(known_at) over in_order as left_at,
        lead(state_order) over in_order is null as is_last,
        min(state_order) over same_version as first_order,
        min(known_at) over same_version as first_seen_at
    from stays
    window
        in_order as (partition by conversation_id order by state_order),
        same_version as (partition by conversation_version_id)
),

latest_stays as (
    select *
    from versions
    {{ latest_by('conversation_version_id', 'state_order desc') }}
),

numbered as (
    select
        conversation_version_id,
        conversation_id,
        metadata_sha256,
        transcript_sha256,
        row_number() over (partition by conversation_id order by first_order) as version_number,
        is_last as is_current,
        batch_date,
        first_seen_at,
        known_at as valid_from,
        left_at as valid_to,
        landed_at
    from latest_stays
)

select * from numbered
