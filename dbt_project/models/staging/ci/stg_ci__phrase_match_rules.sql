{# One row per rule of every matcher revision that was applied. #}
with

source as (
    select *
    from {{ source('coach_raw', 'phrase_matchers') }}
    where _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
),

latest as (
    select *
    from source
    {{ latest_by('matcher_id, revision_id', '_landed_at, _run_id') }}
),

grouped as (
    select
        latest.*,
        rule_group,
        group_offset
    from latest
    cross join
        unnest(json_query_array(latest.payload, '$.phraseMatchRuleGroups')) as rule_group
        with offset as group_offset
),

ruled as (
    select
        grouped.*,
        rule,
        rule_offset
    from grouped
    cross join
        unnest(json_query_array(grouped.rule_group, '$.phraseMatchRules')) as rule
        with offset as rule_offset
),

parsed as (
    select
        {{ surrogate_key(['matcher_id', 'revision_id', 'group_offset', 'rule_offset']) }} as phrase_match_rule_id,
        matcher_id as phrase_matcher_id,
        revision_id,
        display_name as phrase_matcher,
        json_value(payload, '$.type') as matcher_type,
        json_value(rule_group, '$.type') as group_type,
        json_value(rule, '$.query') as phrase,
        group_offset + 1 as group_number,
        rule_offset + 1 as rule_number,
        coalesce(json_value(rule, '$.negated') = 'true', false) as is_negated,
        coalesce(json_value(rule, '$.config.exactMatchConfig.caseSensitive') = 'true', false) as is_case_sensitive,
        revised_at,
        _landed_at as landed_at
    from ruled
)

select * from parsed
