{# What a language model says to the column `prompt` of a relation: its columns, `text`, `status` and tokens. BigQuery
   asks the model by AI.GENERATE; on the local stack recorded answers stand in, by the prompt's hash. #}
{% macro generated_words(relation, model_name) -%}
    {%- if target is defined and target.name == 'local' -%}
        select
            asked.*,
            recorded.text,
            '' as status,
            recorded.input_token_count,
            recorded.output_token_count
        from {{ relation }} as asked
        inner join {{ ref('coaching_recorded_words') }} as recorded
            on asked.prompt_sha256 = recorded.prompt_sha256
    {%- else -%}
        select
            answered.* except (answer),
            answered.answer.result as text,
            answered.answer.status as status,
            {{ token_count('prompt_token_count', 'promptTokenCount') }} as input_token_count,
            {{ token_count('candidates_token_count', 'candidatesTokenCount') }} as output_token_count
        from (
            select
                asked.*,
                ai.generate(asked.prompt, endpoint => '{{ model_name }}') as answer
            from {{ relation }} as asked
        ) as answered
    {%- endif -%}
{%- endmacro %}

{# A count of the model's whole response, which has names of either kind. #}
{% macro token_count(snake, camel) -%}
    safe_cast(
        coalesce(
            json_value(to_json_string(answered.answer.full_response), '$.usage_metadata.{{ snake }}'),
            json_value(to_json_string(answered.answer.full_response), '$.usageMetadata.{{ camel }}')
        ) as int64
    )
{%- endmacro %}
