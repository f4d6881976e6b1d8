{# A turn is the unit: Insights makes one annotation per matcher and turn. A noisy label marks a paraphrase: a
   person would count it and no matcher is expected to find it, so it is counted apart. #}
with

judged as (
    select truths.*
    from {{ ref('stg_truths__conversation_truths') }} as truths
    inner join {{ ref('ci_conversations') }} as conversations
        on
            truths.conversation_id = conversations.conversation_id
            and truths.transcript_sha256 = conversations.transcript_sha256
    where conversations.is_analysed and {{ not_quarantined('truths.conversation_id') }}
),

labelled as (
    select
        label.phrase_matcher,
        judged.conversation_id,
        label.turn_index,
        logical_and(label.is_noisy) as is_noisy
    from judged
    cross join unnest(judged.phrase_matches) as label
    group by label.phrase_matcher, judged.conversation_id, label.turn_index
),

found as (
    select
        matches.phrase_matcher,
        matches.conversation_id,
        matches.turn_index
    from {{ ref('ci_phrase_matches') }} as matches
    inner join judged
        on matches.conversation_id = judged.conversation_id
    group by matches.phrase_matcher, matches.conversation_id, matches.turn_index
),

compared as (
    select
        coalesce(labelled.phrase_matcher, found.phrase_matcher) as phrase_matcher,
        coalesce(not labelled.is_noisy, false) as is_exact,
        coalesce(labelled.is_noisy, false) as is_noisy,
        found.conversation_id is not null as is_found
    from labelled
    full outer join found
        on
            labelled.phrase_matcher = found.phrase_matcher
            and labelled.conversation_id = found.conversation_id
            and labelled.turn_index = found.turn_index
),

counted as (
    select
        matchers.display_name as phrase_matcher,
        countif(compared.is_exact and compared.is_found) as true_positive_count,
        countif(compared.is_found and not compared.is_exact and not compared.is_noisy) as false_positive_count,
        countif(compared.is_exact and not compared.is_found) as false_negative_count,
        countif(compared.is_noisy) as noisy_turn_count,
        countif(compared.is_noisy and compared.is_found) as noisy_found_count
    from {{ ref('phrase_matchers') }} as matchers
    left join compared
        on matchers.display_name = compared.phrase_matcher
    where exists (select 1 from judged)
    group by matchers.display_name
),

evaluated as (
    select
        phrase_matcher,
        (select count(*) from judged) as judged_conversation_count,
        true_positive_count,
        false_positive_count,
        false_negative_count,
        noisy_turn_count,
        noisy_found_count,
        safe_divide(true_positive_count, true_positive_count + false_positive_count) as precision_share,
        safe_divide(true_positive_count, true_positive_count + false_negative_count) as recall_share,
        safe_divide(2 * true_positive_count, 2 * true_positive_count + false_positive_count + false_negative_count)
            as f1_share,
        safe_divide(
            true_positive_count + noisy_found_count, true_positive_count + noisy_found_count + false_positive_count
        ) as with_noise_precision_share,
        safe_divide(
            true_positive_count + noisy_found_count, true_positive_count + false_negative_count + noisy_turn_count
        ) as with_noise_recall_share
    from counted
)

select * from evaluated
