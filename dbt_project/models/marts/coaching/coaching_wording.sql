{{
    config(
        enabled=var('coaching_wording_model') != '',
        materialized='incremental',
        unique_key='conversation_id',
        partition_by={'field': 'batch_date', 'data_type': 'date'},
        cluster_by=['conversation_id'],
        incremental_predicates=[],
        post_hook="{{ delete_forgotten() }}"
    )
}}
{# A model words what the card says; nothing else reads it. Only prompts that it has not answered are sent. #}
{%- set model_name = var('coaching_wording_model') %}
with

prompts as (
    select
        conversation_id,
        judgement_sha256,
        concat(
            'Word this coaching card for the agent in at most 120 words, kindly and plainly. Say nothing that it does ',
            'not say. Quote only its quotes, letter by letter, between « and ».\n',
            summary,
            coalesce(
                (
                    select
                        string_agg(
                            concat('\nTurn ', cast(moment.turn_index as string), ': «', moment.quote, '»'),
                            '' order by moment.turn_index
                        )
                    from unnest(moments) as moment
                ),
                ''
            ),
            '\nNext: ',
            coalesce(array_to_string(next_actions, ' '), '')
        ) as prompt,
        batch_date,
        landed_at
    from {{ ref('coaching_cards') }}
    where judged_count > 0
),

asked as (
    select
        *,
        to_hex(sha256(prompt)) as prompt_sha256
    from prompts
    {%- if is_incremental() %}
        where to_hex(sha256(prompt)) not in (
                select held.prompt_sha256
                from {{ this }} as held
                where held.model_name = '{{ model_name }}'
            )
    {%- endif %}
),

answered as (
    {{ generated_words('asked', model_name) }}
),

worded as (
    select
        conversation_id,
        judgement_sha256,
        prompt_sha256,
        '{{ model_name }}' as model_name,
        text,
        status,
        input_token_count,
        output_token_count,
        (
            input_token_count * {{ var('coaching_wording_usd_per_million_input_tokens') }}
            + output_token_count * {{ var('coaching_wording_usd_per_million_output_tokens') }}
        ) / 1000000 as cost_usd,
        batch_date,
        landed_at
    from answered
)

select * from worded
