{# CTEs `level_1`, `level_2` …, each with the rows of the one before and what lies directly under them; the last is
   `nodes`. `level_0` is the model's: landed_date, payload_sha256, path, json_type, value. A chain, since BigQuery
   takes WITH RECURSIVE at the top of a statement alone (not in a MERGE, nor in a unit test), and evaluates a CTE
   as often as it is named. Insights' deepest path, the rationale of an answer's source in a scorecard, has 12
   levels; an element of an array is one too. #}
{% macro json_levels(maps) -%}
    {%- set depth = 14 -%}
    {%- for level in range(1, depth + 1) %}
        {{ 'nodes' if level == depth else 'level_' ~ level }} as (
            select
                parent.landed_date,
                parent.payload_sha256,
                node.path,
                node.json_type,
                node.value
            from level_{{ level - 1 }} as parent
            cross join unnest(
                array_concat(
                    [struct(parent.path as path, parent.json_type as json_type, cast(null as json) as value)],
                    array(
                        select as struct
                            case
                                when parent.json_type = 'array' then concat(parent.path, '[]')
                                when regexp_contains(parent.path, r'(^|\.)({{ maps }})$') then concat(parent.path, '.*')
                                else trim(concat(parent.path, '.', child.name), '.')
                            end as path,
                            json_type(child.value) as json_type,
                            if(
                                json_type(child.value) in ('object', 'array') and child.name != 'words',
                                child.value,
                                null
                            ) as value
                        from unnest({{ json_members('parent.value', 'parent.json_type') }}) as child
                    )
                )
            ) as node
        )
        {{- ',' if not loop.last }}
    {% endfor %}
{%- endmacro %}
