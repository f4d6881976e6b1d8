{# Insights' phrase match annotations with the matcher revision that made them: the one in the annotation's
   resource name, else the one in force when the analysis was asked for. #}
with

annotations as (
    select
        findings.conversation_id,
        findings.analysis_id,
        findings.batch_date,
        findings.analysis_requested_at,
        findings.landed_at,
        regexp_extract(annotation.phrase_matcher_name, r'/phraseMatchers/([^@/]+)') as phrase_matcher_id,
        regexp_extract(annotation.phrase_matcher_name, r'@([^@/]+)$') as named_revision_id,
        annotation.phrase_matcher,
        annotation.turn_index
    from {{ ref('int_analysis_findings') }} as findings
    cross join unnest(findings.turn_annotations) as annotation
    where annotation.annotation_type = 'phrase_match'
),

revised as (
    select
        annotations.conversation_id,
        annotations.analysis_id,
        annotations.phrase_matcher_id,
        coalesce(annotations.named_revision_id, in_force.revision_id) as revision_id,
        annotations.phrase_matcher,
        annotations.turn_index,
        annotations.batch_date,
        annotations.landed_at
    from annotations
    left join {{ ref('int_matcher_revisions') }} as in_force
        on
            annotations.named_revision_id is null
            and annotations.phrase_matcher_id = in_force.phrase_matcher_id
            and annotations.analysis_requested_at >= in_force.in_force_from
            and annotations.analysis_requested_at < in_force.in_force_to
),

dated as (
    select
        revised.* except (landed_at),
        greatest(revised.landed_at, coalesce(revisions.landed_at, revised.landed_at)) as landed_at
    from revised
    left join {{ ref('int_matcher_revisions') }} as revisions
        on
            revised.phrase_matcher_id = revisions.phrase_matcher_id
            and revised.revision_id = revisions.revision_id
)

select * from dated
