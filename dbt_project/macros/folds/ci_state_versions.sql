{# Every landed state with the version that it is a state of, and its place among the states of its conversation.
   Insights never changes the words of a conversation that it holds, so a state without our labels (from before it
   was adopted, or after someone took them off) is of the version that the labels of the same conversation name at
   other times. A state of Insights' own export knows the second of its analysis and not the id: that is the one of
   another state of the same second, where there is one. #}
{% macro ci_state_versions(within='true') %}
with

ordered as (
    select
        * except (analysis_id, qa_results, topics),
        if(
            {{ is_exported('analysis_id') }},
            coalesce(
                max(if({{ is_exported('analysis_id') }}, null, analysis_id)) over (
                    partition by conversation_id, unix_seconds(analysed_at)
                ),
                analysis_id
            ),
            analysis_id
        ) as analysis_id,
        row_number() over (
            partition by conversation_id
            order by ci_updated_at, analysed_at, analysis_id, payload_sha256
        ) as state_number
    from {{ ref('int_ci_states') }}
    where {{ within }}
),

labelled as (
    select
        * except (conversation_version_id, metadata_sha256, transcript_sha256, batch_date),
        coalesce(metadata_sha256, last_value(metadata_sha256 ignore nulls) over same_words) as metadata_sha256,
        coalesce(transcript_sha256, last_value(transcript_sha256 ignore nulls) over same_words)
            as transcript_sha256,
        if(
            transcript_sha256 is null,
            coalesce(
                last_value(if(transcript_sha256 is null, null, batch_date) ignore nulls) over same_words,
                batch_date
            ),
            batch_date
        ) as batch_date
    from ordered
    window
        same_words as (
            partition by conversation_id, ci_created_at, ci_transcript_uri
            order by state_number
            rows between unbounded preceding and unbounded following
        )
),

versioned as (
    select
        {{ surrogate_key(['conversation_id', 'metadata_sha256', 'transcript_sha256']) }} as conversation_version_id,
        *
    from labelled
)

select * from versioned
{% endmacro %}
