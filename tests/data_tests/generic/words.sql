{# Law: each of these columns holds a word of its seed, or nothing. One query a model; `columns` gives the seed and its
   column for each. A word that nobody knows is in no report that groups by it. #}
{% test words(model, columns) %}
    with

    asked as (
        select *
        from {{ model }}
    )

    {% for column, word in columns.items() %}
        {%- set seed, field = word.split('.') %}
        select
            '{{ column }}' as column_name,
            {{ column }} as word
        from asked
        where {{ column }} is not null and {{ column }} not in (select {{ field }} from {{ ref(seed) }})
        {{ 'union all' if not loop.last }}
    {%- endfor %}
{% endtest %}
