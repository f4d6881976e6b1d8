{# Rules of every matcher revision, ready to be looked for, with the group's name where the phrase is
   still defined in seeds/phrase_matcher_rules.csv. Insights keeps no names of groups. #}
with

rules as (
    select *
    from {{ ref('stg_ci__phrase_match_rules') }}
),

group_names as (
    select
        display_name,
        query,
        min(group_name) as group_name
    from {{ ref('phrase_matcher_rules') }}
    group by display_name, query
),

named as (
    select
        rules.phrase_match_rule_id,
        rules.phrase_matcher_id,
        rules.revision_id,
        group_names.group_name as phrase_group,
        rules.phrase,
        {{ phrase_pattern('rules.phrase', 'rules.is_case_sensitive') }} as pattern,
        rules.group_number,
        rules.rule_number,
        rules.group_type = 'ALL_OF' as is_all_of,
        rules.is_negated
    from rules
    left join group_names
        on
            rules.phrase_matcher = group_names.display_name
            and rules.phrase = group_names.query
)

select * from named
