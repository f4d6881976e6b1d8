{# Law: a hit has no phrase only where its matcher's revision is unknown, or where one of the revision's rule
   groups holds by what is not said: negated rules alone, or any of them.
   A reviewer asks "what was said?"; an unexplained blank means that the text is searched otherwise than in CI. #}
with

silent_groups as (
    select
        phrase_matcher_id,
        revision_id,
        group_number,
        if(group_type = 'ALL_OF', logical_and(is_negated), logical_or(is_negated)) as is_silent
    from {{ ref('stg_ci__phrase_match_rules') }}
    group by phrase_matcher_id, revision_id, group_number, group_type
),

revisions as (
    select
        phrase_matcher_id,
        revision_id,
        logical_or(is_silent) as is_silent
    from silent_groups
    group by phrase_matcher_id, revision_id
)

select matches.phrase_match_id
from {{ ref('ci_phrase_matches') }} as matches
inner join revisions
    on
        matches.phrase_matcher_id = revisions.phrase_matcher_id
        and matches.revision_id = revisions.revision_id
where matches.phrase is null and not revisions.is_silent
