{# The days on which the conversations stand, or stood, about which something landed since then, as a condition: all
   that an incremental model reads and merges lies there, and BigQuery prunes partitions by literals alone. A first run
   and a full refresh read all days; offline it is a fixed literal. #}
{% macro in_days(landed_from, column='batch_date') -%}
    {%- if not execute -%}
        {%- do ref('int_changed_days') -%}
    {%- endif -%}
    {%- if not is_incremental() -%}
        {{ return('true') }}
    {%- endif -%}
    {{ return(in_dates(column, ref('int_changed_days'), 'landed_at >= ' ~ landed_from)) }}
{%- endmacro %}

{# Whether the index knows of a landing about the conversation since then, as a condition. What lands while a build runs
   may belong to a conversation whose other days aren't in the list: the next build reads it, by the overlap. #}
{% macro is_indexed(landed_from, within) -%}
    {%- if not execute -%}
        {%- do ref('int_conversation_days') -%}
    {%- endif -%}
    {%- if within == 'true' -%}
        {{ return('true') }}
    {%- endif -%}
    farm_fingerprint(conversation_id) in (
        select conversation_key
        from {{ ref('int_conversation_days') }}
        where landed_at >= {{ landed_from }} and {{ within | replace('kept_date', 'batch_date') }}
    )
{%- endmacro %}

{# These days and those of matching rows of a relation, for conversations about which nothing landed. #}
{% macro in_days_and_those_of(landed_from, relation, condition) -%}
    {%- if not is_incremental() -%}
        {{ return('true') }}
    {%- endif -%}
    {%- set both -%}
        (
            select batch_date
            from {{ relation }}
            where {{ condition }}
            union distinct
            select batch_date
            from {{ ref('int_changed_days') }}
            where landed_at >= {{ landed_from }}
        )
    {%- endset -%}
    {{ return(in_dates('batch_date', both, 'true')) }}
{%- endmacro %}

{# The same condition in a hook or a merge: the one that the model's own SQL has. #}
{% macro in_own_days(column='batch_date') -%}
    {%- set found = modules.re.search("in \\((date '[^)]*)\\)", model.compiled_code or '') -%}
    {{ return(column ~ ' in (' ~ found.group(1) ~ ')' if found else 'true') }}
{%- endmacro %}
