{# The file by which each content of a kind landed first. Rows by content have its run, day and time, in whatever order
   copies of it land. `within` is `in_days`: the days of a conversation have all its files. #}
{% macro first_files(kind, within) -%}
    select
        conversation_id,
        content_sha256,
        run_id,
        batch_date,
        landed_at
    from {{ ref('int_conversation_files') }}
    where kind = '{{ kind }}' and {{ within }}
    {{ latest_by('conversation_id, content_sha256', 'landed_at, run_id, conversation_file_id') }}
{%- endmacro %}
