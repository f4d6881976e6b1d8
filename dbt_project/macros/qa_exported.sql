{# Members of Google's export, by the names that it has. #}
{% macro exported_points(of) -%}
    {{ of }}.score as score,
    {{ of }}.potential_score as potentialScore,
    {{ of }}.normalized_score as normalizedScore
{%- endmacro %}

{% macro exported_tag_results(of) -%}
    array(
        select as struct
            tagged.tag as tag,
            {{ exported_points('tagged') }}
        from unnest({{ of }}.tag_results) as tagged with offset as tag_place
        order by tag_place
    ) as qaTagResults
{%- endmacro %}

{# An answer; Insights' API gives no rationale. #}
{% macro exported_answer(of) -%}
    struct(
        {{ of }}.bool_value as boolValue,
        {{ of }}.answer_key as key,
        {{ of }}.is_na as naValue,
        {{ of }}.normalized_score as normalizedScore,
        {{ of }}.number_value as numericValue,
        {{ of }}.potential_score as potentialScore,
        struct(cast(null as string) as rationale) as qaAnswerRationale,
        {{ of }}.score as score,
        {{ of }}.text_value as stringValue
    )
{%- endmacro %}

{# What a revision scores a conversation: a row of ci_qa_results. #}
{% macro exported_scores(of) -%}
    struct(
        {{ of }}.qa_result_name as qaScorecardResult,
        regexp_extract({{ of }}.revision_name, r'^(.+)/revisions/') as qaScorecard,
        {{ of }}.revision_name as qaScorecardRevision,
        {{ exported_points(of) }},
        {{ exported_tag_results(of) }},
        array(
            select as struct
                struct(answer.question_name as qaQuestion, answer.question_body as questionBody) as qaQuestion,
                answer.text_value as qaAnswerStringValue,
                answer.number_value as qaAnswerNumericValue,
                answer.bool_value as qaAnswerBoolValue,
                answer.is_na as qaAnswerNaValue,
                {{ exported_points('answer') }},
                answer.tags as tags,
                array(
                    select as struct
                        answer_source.source_type as sourceType,
                        {{ exported_answer('answer_source') }} as qaAnswerValue
                    from unnest(answer.sources) as answer_source with offset as source_place
                    order by source_place
                ) as answerSources
            from unnest({{ of }}.answers) as answer with offset as place
            order by place
        ) as qaAnswers,
        array(
            select as struct
                score_source.source_type as sourceType,
                {{ exported_points('score_source') }},
                {{ exported_tag_results('score_source') }}
            from unnest({{ of }}.score_sources) as score_source with offset as place
            order by place
        ) as scoreSources
    )
{%- endmacro %}
