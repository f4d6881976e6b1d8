with

analyses as (
    select *
    from {{ ref('ci_analyses') }}
    where previous_analysis_id is not null
),

findings as (
    select *
    from {{ ref('int_analysis_findings') }}
),

compared as (
    select
        analyses.*,
        earlier.customer_sentiment_score as previous_sentiment_score,
        later_findings.annotation_count - earlier_findings.annotation_count as annotation_count_change,
        later_findings.entity_mention_count - earlier_findings.entity_mention_count as entity_mention_count_change,
        later_findings.annotation_count = earlier_findings.annotation_count
        and later_findings.entity_mention_count = earlier_findings.entity_mention_count
        and later_findings.phrase_match_count = earlier_findings.phrase_match_count
        and later_findings.highlight_count = earlier_findings.highlight_count
        and later_findings.sentiment_turn_count = earlier_findings.sentiment_turn_count
        and later_findings.positive_turn_count = earlier_findings.positive_turn_count
        and later_findings.negative_turn_count = earlier_findings.negative_turn_count as are_counts_equal,
        array(
            select hit
            from unnest(later_findings.hits) as hit
            where hit not in unnest(earlier_findings.hits)
            order by hit
        ) as added_hits,
        array(
            select hit
            from unnest(earlier_findings.hits) as hit
            where hit not in unnest(later_findings.hits)
            order by hit
        ) as removed_hits
    from analyses
    inner join {{ ref('ci_analyses') }} as earlier
        on analyses.previous_analysis_id = earlier.analysis_id
    inner join findings as later_findings
        on analyses.analysis_id = later_findings.analysis_id
    inner join findings as earlier_findings
        on analyses.previous_analysis_id = earlier_findings.analysis_id
),

changes as (
    select
        analysis_id,
        conversation_id,
        conversation_version_id,
        previous_analysis_id,
        reason,
        customer_sentiment_score,
        previous_sentiment_score,
        ({{ micros('customer_sentiment_score') }} - {{ micros('previous_sentiment_score') }}) / 1000000
            as sentiment_score_change,
        annotation_count_change,
        entity_mention_count_change,
        array_length(added_hits) as added_hit_count,
        array_length(removed_hits) as removed_hit_count,
        are_counts_equal
        and array_length(added_hits) + array_length(removed_hits) = 0
        and customer_sentiment_score is not distinct from previous_sentiment_score as is_unchanged,
        batch_date,
        analysed_at,
        added_hits,
        removed_hits
    from compared
)

select * from changes
