{{ config(materialized='view') }}
with

current_dynamics as (
    select
        dynamics.conversation_id,
        versions.conversation_version_id,
        dynamics.turn_count,
        dynamics.overlap_count,
        {%- for side in ['agent', 'automated_agent', 'customer'] %}
            dynamics.{{ side }}_turn_count,
            dynamics.{{ side }}_word_count,
            dynamics.{{ side }}_interruption_count,
            dynamics.{{ side }}_talk_ms / 1000 as {{ side }}_talk_sec,
            dynamics.{{ side }}_talk_ms / nullif(dynamics.talk_ms, 0) as {{ side }}_talk_share,
            dynamics.{{ side }}_word_count * 60000 / nullif(dynamics.{{ side }}_talk_ms, 0)
                as {{ side }}_words_per_minute,
        {%- endfor %}
        dynamics.silence_ms / 1000 as silence_sec,
        dynamics.longest_silence_ms / 1000 as longest_silence_sec,
        dynamics.overlap_ms / 1000 as overlap_sec,
        dynamics.talk_ms is not null as has_turn_ends,
        versions.batch_date,
        dynamics.landed_at
    from {{ ref('int_transcript_dynamics') }} as dynamics
    inner join {{ ref('int_conversation_versions') }} as versions
        on
            dynamics.conversation_id = versions.conversation_id
            and dynamics.transcript_sha256 = versions.transcript_sha256
    where versions.is_current
)

select * from current_dynamics
