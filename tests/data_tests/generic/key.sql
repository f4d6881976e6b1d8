{# Law: the column is the key of the model: never null, never twice.
   MERGE and every join depend on it; one query instead of the two of `not_null` and `unique`. #}
{% test key(model, column_name) %}
    select
        {{ column_name }},
        count(*) as row_count
    from {{ model }}
    group by {{ column_name }}
    having {{ column_name }} is null or count(*) > 1
{% endtest %}
