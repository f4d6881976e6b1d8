{# CTEs `level_1`, `level_2` … each with what lies directly under the values of the one before, and `nodes` with all
   levels. `level_0` is the model's: landed_date, payload_sha256, path, json_type, value. Their number is fixed, since
   BigQuery takes WITH RECURSIVE at the top of a statement alone: not in a MERGE, nor in a unit test. CI's deepest
   path, the rationale of an answer's source in a scorecard, has 12 levels; an element of an array is one too. #}
{% macro json_levels(maps) -%}
    {%- set depth = 14 -%}
    {%- set selects = ['select landed_date, payload_sha256, path, json_type from level_0'] -%}
    {%- for level in range(1, depth + 1) %}
        level_{{ level }} as (
            select
                parent.landed_date,
                parent.payload_sha256,
                case
                    when parent.json_type = 'array' then concat(parent.path, '[]')
                    when regexp_contains(parent.path, r'(^|\.)({{ maps }})$') then concat(parent.path, '.*')
                    else trim(concat(parent.path, '.', child.name), '.')
                end as path,
                json_type(child.value) as json_type,
                child.value
            from level_{{ level - 1 }} as parent
            cross join unnest({{ json_members('parent.value', 'parent.json_type') }}) as child
            where parent.json_type in ('object', 'array') and not ends_with(parent.path, '.words')
        ),
        {% do selects.append('select landed_date, payload_sha256, path, json_type from level_' ~ level) -%}
    {% endfor %}
    nodes as (
        {{ selects | join(' union all ') }}
    )
{%- endmacro %}
