{# What dev data says is true of itself. Landed again, the newest truth about a transcript counts. One without
   labels (of converted data) can't judge a matcher. #}
with

source as (
    select *
    from {{ source('coach_raw', 'conversation_truths') }}
    where _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
),

latest as (
    select *
    from source
    where transcript_sha256 is not null and json_query(payload, '$.phrase_matches') is not null
    {{ latest_by('conversation_id, transcript_sha256', '_landed_at desc, content_sha256') }}
),

parsed as (
    select
        {{ surrogate_key(['conversation_id', 'transcript_sha256']) }} as conversation_truth_id,
        conversation_id,
        transcript_sha256,
        scenario,
        json_value(payload, '$.sentiment_arc') as sentiment_arc,
        batch_date,
        _landed_at as landed_at,
        array(
            select as struct
                json_value(label, '$.matcher') as phrase_matcher,
                json_value(label, '$.group') as phrase_group,
                json_value(label, '$.phrase') as phrase,
                safe_cast(json_value(label, '$.turn_index') as int64) as turn_index,
                safe_cast(json_value(label, '$.start_char') as int64) as start_char,
                safe_cast(json_value(label, '$.end_char') as int64) as end_char,
                coalesce(json_value(label, '$.is_noisy') = 'true', false) as is_noisy
            from unnest(json_query_array(payload, '$.phrase_matches')) as label with offset as place
            order by place
        ) as phrase_matches
    from latest
)

select * from parsed
