{# The newest object of each content of each file: where a version's two files are. #}
{% macro version_files(within='true') %}
with

files as (
    select *
    from {{ ref('int_conversation_files') }}
    where {{ within }}
),

newest as (
    select *
    from files
    {{ latest_by('conversation_id, kind, content_sha256', 'generation desc, uri') }}
)

select * from newest
{% endmacro %}
