{# Scores and topics of every landed state that has any. Only those that Insights could give points for have any: what
   does not apply has null, and a zero, which proto3 JSON omits, is a zero. #}
with

source as (
    select
        conversation_id,
        payload_sha256,
        json_query(payload, '$.latestAnalysis.analysisResult.callAnalysisMetadata.qaScorecardResults') as results,
        json_query(payload, '$.latestAnalysis.analysisResult.callAnalysisMetadata.issueModelResult') as topic_result,
        _landed_at
    from {{ source('coach_raw', 'ci_conversations') }}
    where _landed_at >= timestamp '{{ var("raw_start_date") }} 00:00:00+00'
),

parsed as (
    select
        conversation_id,
        payload_sha256,
        topic_result is not null as has_topics,
        _landed_at as landed_at,
        array(
            select as struct
                json_value(result, '$.name') as name,
                json_value(result, '$.qaScorecardRevision') as revision_name,
                {{ points_of('result') }},
                safe_cast(json_value(result, '$.createTime') as timestamp) as scored_at,
                array(
                    select as struct
                        json_value(tagged, '$.tag') as tag,
                        {{ points_of('tagged') }}
                    from unnest(json_query_array(result, '$.qaTagResults')) as tagged with offset as tagged_place
                    order by tagged_place
                ) as tag_results,
                array(
                    select as struct
                        json_value(scored, '$.sourceType') as source_type,
                        {{ points_of('scored') }},
                        array(
                            select as struct
                                json_value(part, '$.tag') as tag,
                                {{ points_of('part') }}
                            from unnest(json_query_array(scored, '$.qaTagResults')) as part with offset as part_place
                            order by part_place
                        ) as tag_results
                    from unnest(json_query_array(result, '$.scoreSources')) as scored with offset as score_place
                    order by score_place
                ) as score_sources,
                array(
                    select as struct
                        json_value(answer, '$.qaQuestion') as question_name,
                        json_value(answer, '$.questionBody') as question_body,
                        json_value(answer, '$.answerValue.key') as answer_key,
                        json_value(answer, '$.answerValue.strValue') as text_value,
                        safe_cast(json_value(answer, '$.answerValue.numValue') as float64) as number_value,
                        safe_cast(json_value(answer, '$.answerValue.boolValue') as bool) as bool_value,
                        'true' in (
                            coalesce(json_value(answer, '$.answerValue.naValue'), ''),
                            coalesce(json_value(answer, '$.answerValue.skipValue'), '')
                        ) as is_na,
                        {{ points_of('answer', 'answerValue.') }},
                        array(
                            select json_value(question_tag)
                            from unnest(json_query_array(answer, '$.tags')) as question_tag with offset as tag_place
                            order by tag_place
                        ) as tags,
                        array(
                            select as struct
                                json_value(given, '$.sourceType') as source_type,
                                json_value(given, '$.answerValue.key') as answer_key,
                                json_value(given, '$.answerValue.strValue') as text_value,
                                safe_cast(json_value(given, '$.answerValue.numValue') as float64) as number_value,
                                safe_cast(json_value(given, '$.answerValue.boolValue') as bool) as bool_value,
                                'true' in (
                                    coalesce(json_value(given, '$.answerValue.naValue'), ''),
                                    coalesce(json_value(given, '$.answerValue.skipValue'), '')
                                ) as is_na,
                                {{ points_of('given', 'answerValue.') }}
                            from
                                unnest(json_query_array(answer, '$.answerSources')) as given
                                with offset as source_place
                            order by source_place
                        ) as sources
                    from unnest(json_query_array(result, '$.qaAnswers')) as answer with offset as answer_place
                    order by answer_place
                ) as answers
            from unnest(json_query_array(results)) as result with offset as result_place
            order by result_place
        ) as qa_results,
        array(
            select as struct
                json_value(topic_result, '$.issueModel') as issue_model_name,
                json_value(issue, '$.issue') as issue_name,
                json_value(issue, '$.displayName') as topic,
                {{ number_or_zero("json_value(issue, '$.score')") }} as score
            from unnest(json_query_array(topic_result, '$.issues')) as issue with offset as issue_place
            order by issue_place
        ) as topics
    from source
    where results is not null or topic_result is not null
)

select * from parsed
