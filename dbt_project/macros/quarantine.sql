{# What is expected of one conversation, as queries of those that are otherwise than expected: conversation_id. The
   laws ask them, and quarantined_conversations sets aside whom they find, so that one odd conversation stops
   nobody. The laws count the turns themselves, the mart takes them counted: `turns` is a relation of `turn_counts`. #}

{# What both count of the turns of a conversation. #}
{% macro turn_counts() -%}
    count(*) as turn_count,
    min(turn_index) as first_index,
    max(turn_index) as last_index,
    count(distinct turn_index) as index_count,
    countif(speaker = 'CUSTOMER') as customer_turn_count,
    countif((coalesce(speaker, '') = 'CUSTOMER') != (customer_sentiment_score is not null)) as wrong_turn_count
{%- endmacro %}

{% macro counted_turns() %}
    (
        select
            conversation_id,
            {{ turn_counts() }}
        from {{ ref('ci_turns') }}
        group by conversation_id
    )
{% endmacro %}

{# Customer turns have a sentiment and no others have, and Insights sent as many as the customer has turns. #}
{% macro odd_sentiments(turns=none) %}
    select conversations.conversation_id
    from {{ ref('ci_conversations') }} as conversations
    left join {{ turns or counted_turns() }} as turns
        on conversations.conversation_id = turns.conversation_id
    left join {{ ref('int_analysis_findings') }} as findings
        on conversations.analysis_id = findings.analysis_id
    where
        conversations.is_analysed
        and (
            turns.wrong_turn_count > 0
            or coalesce(turns.customer_turn_count, 0) != coalesce(findings.sentiment_turn_count, -1)
        )
{% endmacro %}

{# Turns are 0..n-1, each once, n being Insights' count and that of the transcript as it was handed in. #}
{% macro odd_turns(turns=none) %}
    select conversations.conversation_id
    from {{ ref('ci_conversations') }} as conversations
    left join {{ turns or counted_turns() }} as turns
        on conversations.conversation_id = turns.conversation_id
    left join {{ ref('conversation_registry', v=2) }} as versions
        on conversations.conversation_version_id = versions.conversation_version_id
    where
        coalesce(turns.turn_count, 0) != conversations.turn_count
        or coalesce(turns.turn_count, 0) != coalesce(versions.turn_count, conversations.turn_count)
        or coalesce(turns.index_count, 0) != conversations.turn_count
        or coalesce(turns.first_index, 0) != 0
        or coalesce(turns.last_index, -1) != conversations.turn_count - 1
{% endmacro %}

{# Where Insights found highlights, entities or phrases the marts have rows of them, and never more than Insights
   found. #}
{% macro odd_findings() %}
    select conversations.conversation_id
    from {{ ref('ci_conversations') }} as conversations
    inner join {{ ref('int_analysis_findings') }} as findings
        on conversations.analysis_id = findings.analysis_id
    left join (
        select
            analysis_id,
            count(*) as row_count
        from {{ ref('ci_highlights') }}
        group by analysis_id
    ) as highlights
        on conversations.analysis_id = highlights.analysis_id
    left join (
        select
            analysis_id,
            sum(mention_count) as row_count
        from {{ ref('ci_entities') }}
        group by analysis_id
    ) as mentions
        on conversations.analysis_id = mentions.analysis_id
    left join (
        select
            analysis_id,
            count(distinct concat(turn_id, phrase_matcher_id)) as row_count
        from {{ ref('ci_phrase_matches') }}
        group by analysis_id
    ) as hits
        on conversations.analysis_id = hits.analysis_id
    where
        coalesce(highlights.row_count, 0) > findings.highlight_count
        or (coalesce(highlights.row_count, 0) = 0) != (findings.highlight_count = 0)
        or coalesce(mentions.row_count, 0) > findings.entity_mention_count
        or (coalesce(mentions.row_count, 0) = 0) != (findings.entity_mention_count = 0)
        or coalesce(hits.row_count, 0) > findings.phrase_match_count
        or (coalesce(hits.row_count, 0) = 0) != (findings.phrase_match_count = 0)
{% endmacro %}

{# A hit has no phrase only where its revision is unknown, or may hold by what is not said. #}
{% macro odd_hits() %}
    select matches.conversation_id
    from {{ ref('ci_phrase_matches') }} as matches
    inner join (
        select
            phrase_matcher_id,
            revision_id,
            logical_or(is_silent) as is_silent
        from (
            select
                phrase_matcher_id,
                revision_id,
                if(is_all_of, logical_and(is_negated), logical_or(is_negated)) as is_silent
            from {{ ref('int_phrase_rules') }}
            group by phrase_matcher_id, revision_id, group_number, is_all_of
        )
        group by phrase_matcher_id, revision_id
    ) as revisions
        on
            matches.phrase_matcher_id = revisions.phrase_matcher_id
            and matches.revision_id = revisions.revision_id
    where matches.phrase is null and not revisions.is_silent
{% endmacro %}

{# Whether a conversation counts: those in quarantine are in no mart of quality. #}
{% macro not_quarantined(conversation_id) -%}
    {{ conversation_id }} not in (select quarantined.conversation_id from {{ ref('quarantined_conversations') }} as quarantined)
{%- endmacro %}

{# A law about single conversations: whom its query finds stands in quarantine for it. #}
{% macro all_quarantined(rule, odd) -%}
    select odd.conversation_id
    from ({{ odd }}) as odd
    left join {{ ref('quarantined_conversations') }} as quarantined
        on
            odd.conversation_id = quarantined.conversation_id
            and quarantined.rule = '{{ rule }}'
    where quarantined.conversation_id is null
{%- endmacro %}
