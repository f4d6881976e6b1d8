{# CI's phrase match annotations with the matcher revision that made them: the one in the annotation's
   resource name, else the one in force when the analysis was asked for. #}
with

annotations as (
    select
        *,
        regexp_extract(phrase_matcher_name, r'/phraseMatchers/([^@/]+)') as phrase_matcher_id,
        regexp_extract(phrase_matcher_name, r'@([^@/]+)$') as named_revision_id
    from {{ ref('stg_ci__annotations') }}
    where annotation_type = 'phrase_match'
),

revised as (
    select
        annotations.conversation_id,
        annotations.payload_sha256,
        annotations.analysis_id,
        annotations.phrase_matcher_id,
        coalesce(annotations.named_revision_id, revisions.revision_id) as revision_id,
        annotations.phrase_matcher,
        annotations.turn_index,
        annotations.landed_at
    from annotations
    left join {{ ref('int_matcher_revisions') }} as revisions
        on
            annotations.named_revision_id is null
            and annotations.phrase_matcher_id = revisions.phrase_matcher_id
            and annotations.analysis_requested_at >= revisions.in_force_from
            and annotations.analysis_requested_at < revisions.in_force_to
)

select * from revised
