{# All words of a conversation in Google's export: Insights splits a turn's text on white space. #}
with

turns as (
    select *
    from {{ ref('ci_turns') }}
),

words as (
    select
        turns.conversation_id,
        array_agg(
            struct(
                word as word,
                cast(null as int64) as startOffsetNanos,
                cast(null as int64) as endOffsetNanos,
                turns.channel_tag as speakerTag,
                turns.language_code as languageCode
            )
            order by turns.turn_index, place
        ) as words
    from turns
    cross join unnest(regexp_extract_all(turns.text, r'\S+')) as word with offset as place
    group by turns.conversation_id
)

select * from words
