{# Law: the column, or the columns together, are the key of the model: never null, never twice.
   MERGE and every join depend on it; one query instead of the two of `not_null` and `unique`. #}
{% test key(model, column_name=none, columns=none) %}
    select
        {{ (columns or [column_name]) | join(', ') }},
        count(*) as row_count
    from {{ model }}
    group by {{ (columns or [column_name]) | join(', ') }}
    having count(*) > 1 or {{ (columns or [column_name]) | join(' is null or ') }} is null
{% endtest %}
