{{
    config(
        materialized='incremental',
        unique_key='conversation_version_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=['own_days', 'whole_conversations'],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# A delivery says what its folder holds from then on; what the folder lacks is what other folders delivered last, so
   that halves may come apart. After each delivery the two hashes are a version; content seen again is its old
   version. #}
{%- set landed_from = landed_from() %}
{%- set within = in_days(landed_from) %}
with

changed as (
    {{ changed_conversations([ref('int_conversation_files')], landed_from, within) }}
),

all_deliveries as (
    {{ rows_of(ref('int_conversation_deliveries'), conversation_deliveries, within) }}
),

deliveries as (
    select all_deliveries.*
    from all_deliveries
    inner join changed
        on all_deliveries.conversation_id = changed.conversation_id
),

states as (
    select
        conversation_id,
        delivery_number,
        batch_date,
        landed_at,
        coalesce(
            last_value(metadata_sha256 ignore nulls) over folder_so_far,
            last_value(metadata_sha256 ignore nulls) over so_far
        ) as metadata_sha256,
        coalesce(
            last_value(transcript_sha256 ignore nulls) over folder_so_far,
            last_value(transcript_sha256 ignore nulls) over so_far
        ) as transcript_sha256,
        min(landed_at) over from_here as known_at
    from deliveries
    window
        in_order as (partition by conversation_id order by delivery_number),
        folder_so_far as (
            partition by conversation_id, batch_date
            order by delivery_number
            rows between unbounded preceding and current row
        ),
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
    window in_order as (partition by conversation_id order by delivery_number)
),

versions as (
    select
        *,
        lead(known_at) over in_order as left_at,
        lead(delivery_number) over in_order is null as is_last,
        min(delivery_number) over same_version as first_number,
        min(known_at) over same_version as first_seen_at
    from stays
    window
        in_order as (partition by conversation_id order by delivery_number),
        same_version as (partition by conversation_version_id)
),

latest_stays as (
    select *
    from versions
    {{ latest_by('conversation_version_id', 'delivery_number desc') }}
),

numbered as (
    select
        conversation_version_id,
        conversation_id,
        metadata_sha256,
        transcript_sha256,
        row_number() over (partition by conversation_id order by first_number) as version_number,
        is_last as is_current,
        batch_date,
        first_seen_at,
        known_at as valid_from,
        left_at as valid_to,
        landed_at
    from latest_stays
)

select * from numbered
