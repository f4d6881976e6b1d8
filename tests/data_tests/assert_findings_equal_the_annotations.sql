{# Law: where CI found highlights, entities or phrases the marts have rows of them, and never more than CI found.
   A coach sees what the marts hold; a finding that is lost, or doubled, is feedback that is wrong. #}
with

highlights as (
    select
        analysis_id,
        count(*) as row_count
    from {{ ref('ci_highlights') }}
    group by analysis_id
),

mentions as (
    select
        analysis_id,
        sum(mention_count) as row_count
    from {{ ref('ci_entities') }}
    group by analysis_id
),

hits as (
    select
        analysis_id,
        count(distinct concat(turn_id, phrase_matcher_id)) as row_count
    from {{ ref('ci_phrase_matches') }}
    group by analysis_id
),

compared as (
    select
        conversations.conversation_id,
        findings.highlight_count as found_highlight_count,
        coalesce(highlights.row_count, 0) as highlight_count,
        findings.entity_mention_count as found_mention_count,
        coalesce(mentions.row_count, 0) as mention_count,
        findings.phrase_match_count as found_hit_count,
        coalesce(hits.row_count, 0) as hit_count
    from {{ ref('ci_conversations') }} as conversations
    inner join {{ ref('int_analysis_findings') }} as findings
        on conversations.analysis_id = findings.analysis_id
    left join highlights
        on conversations.analysis_id = highlights.analysis_id
    left join mentions
        on conversations.analysis_id = mentions.analysis_id
    left join hits
        on conversations.analysis_id = hits.analysis_id
)

select conversation_id
from compared
where
    highlight_count > found_highlight_count
    or (highlight_count = 0) != (found_highlight_count = 0)
    or mention_count > found_mention_count
    or (mention_count = 0) != (found_mention_count = 0)
    or hit_count > found_hit_count
    or (hit_count = 0) != (found_hit_count = 0)
