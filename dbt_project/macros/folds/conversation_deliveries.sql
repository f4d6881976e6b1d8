{# A delivery is what one run landed of a conversation from one date folder: one metadata, one transcript, or one of
   them. A file that a run landed in two generations makes two deliveries. They are in the order of their generations,
   never of load times; several folders of one run follow one another by date, whichever was uploaded first. #}
{% macro conversation_deliveries(within='true') %}
with

files as (
    select
        *,
        row_number() over (
            partition by conversation_id, run_id, batch_date, kind
            order by generation, content_sha256
        ) as place
    from {{ ref('int_conversation_files') }}
    where {{ within }}
),

deliveries as (
    select
        conversation_id,
        run_id,
        batch_date,
        place,
        max(if(kind = 'metadata', content_sha256, null)) as metadata_sha256,
        max(if(kind = 'transcription', content_sha256, null)) as transcript_sha256,
        max(generation) as generation,
        max(landed_at) as landed_at
    from files
    group by conversation_id, run_id, batch_date, place
),

placed as (
    select
        *,
        max(generation) over (
            partition by conversation_id, run_id
            order by batch_date, place
            rows between unbounded preceding and current row
        ) as generation_so_far
    from deliveries
),

numbered as (
    select
        {{ surrogate_key(['conversation_id', 'run_id', 'batch_date', 'place']) }} as conversation_delivery_id,
        conversation_id,
        run_id,
        metadata_sha256,
        transcript_sha256,
        row_number() over (
            partition by conversation_id
            order by generation_so_far, batch_date, place, run_id
        ) as delivery_number,
        batch_date,
        landed_at
    from placed
)

select * from numbered
{% endmacro %}
