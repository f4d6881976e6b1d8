{# A turn is the unit: CI makes one annotation per matcher and turn. A label marked noisy is a phrase that
   is there and doesn't mean what the matcher looks for, so finding it counts as a false positive. #}
with

judged as (
    select conversations.conversation_id
    from {{ ref('labelled_conversations') }} as labels
    inner join {{ ref('ci_conversations') }} as conversations
        on
            labels.conversation_id = conversations.conversation_id
            and labels.transcript_sha256 = conversations.transcript_sha256
    where conversations.is_analysed
),

expected as (
    select
        labels.phrase_matcher,
        labels.conversation_id,
        labels.turn_index,
        not logical_and(labels.is_noisy) as is_relevant
    from {{ ref('expected_phrase_matches') }} as labels
    inner join judged
        on labels.conversation_id = judged.conversation_id
    group by labels.phrase_matcher, labels.conversation_id, labels.turn_index
),

found as (
    select
        matches.phrase_matcher,
        matches.conversation_id,
        matches.turn_index,
        true as is_found
    from {{ ref('ci_phrase_matches') }} as matches
    inner join judged
        on matches.conversation_id = judged.conversation_id
    group by matches.phrase_matcher, matches.conversation_id, matches.turn_index
),

compared as (
    select
        coalesce(expected.phrase_matcher, found.phrase_matcher) as phrase_matcher,
        coalesce(expected.is_relevant, false) as is_relevant,
        coalesce(found.is_found, false) as is_found
    from expected
    full outer join found
        on
            expected.phrase_matcher = found.phrase_matcher
            and expected.conversation_id = found.conversation_id
            and expected.turn_index = found.turn_index
),

evaluated as (
    select
        matchers.display_name as phrase_matcher,
        (select count(*) from judged) as judged_conversation_count,
        countif(compared.is_relevant and compared.is_found) as true_positive_count,
        countif(compared.is_found and not compared.is_relevant) as false_positive_count,
        countif(compared.is_relevant and not compared.is_found) as false_negative_count,
        safe_divide(countif(compared.is_relevant and compared.is_found), countif(compared.is_found))
            as precision_share,
        safe_divide(countif(compared.is_relevant and compared.is_found), countif(compared.is_relevant))
            as recall_share
    from {{ ref('phrase_matchers') }} as matchers
    left join compared
        on matchers.display_name = compared.phrase_matcher
    group by matchers.display_name
)

select * from evaluated
