{# dbt's MERGE with four more words in `incremental_predicates`.

   `own_days` becomes the condition on `batch_date` that the model's own SQL has (see `in_days`): on these days stand
   all rows that the same conversations have in the target, so it is pruned to a few partitions, and a row whose day has
   changed is still found.

   `days_of_source:<column>` is for facts, whose day never changes: the days of the rows to be merged.

   `first_landing`, after it, leaves out facts of which the table has an earlier landing: in whatever order they land,
   the first one counts.

   `whole_conversations` says that the model gives all rows of every conversation in it: rows of those
   conversations that it no longer gives are deleted first, since MERGE alone never takes a row out. #}
{% macro bigquery__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
    {%- set predicates = [] -%}
    {%- set merged = namespace(source=source) -%}
    {%- for predicate in incremental_predicates or [] -%}
        {%- if predicate == 'own_days' -%}
            {%- do predicates.append(in_own_days('DBT_INTERNAL_DEST.batch_date')) -%}
        {%- elif predicate.startswith('days_of_source:') -%}
            {%- set column = predicate.split(':')[1] -%}
            {%- do predicates.append(in_dates('DBT_INTERNAL_DEST.' ~ column, source, 'true', column)) -%}
        {%- elif predicate == 'first_landing' -%}
            {%- set merged.source = without_later_landings(target, source, unique_key, predicates) -%}
        {%- elif predicate == 'whole_conversations' -%}
            {%- do delete_stale(target, source, unique_key) -%}
        {%- else -%}
            {%- do predicates.append(predicate) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ dbt.default__get_merge_sql(target, merged.source, unique_key, dest_columns, predicates) }}
{%- endmacro %}

{% macro without_later_landings(target, source, unique_key, predicates) -%}
    (
        select landed.*
        from {{ source }} as landed
        left join {{ target }} as held
            on
                {{ predicates | join(' and ') | replace('DBT_INTERNAL_DEST.', 'held.') }}
                and landed.{{ unique_key }} = held.{{ unique_key }}
                and (
                    held.landed_at < landed.landed_at
                    or (held.landed_at = landed.landed_at and held.run_id < landed.run_id)
                )
        where held.{{ unique_key }} is null
    )
{%- endmacro %}

{% macro delete_stale(target, source, unique_key) -%}
    {%- set stale -%}
        {{ in_own_days() }}
        and conversation_id in (select conversation_id from {{ source }})
        and {{ unique_key }} not in (select {{ unique_key }} from {{ source }})
    {%- endset -%}
    {%- if any_rows(target, stale) -%}
        {%- do run_query('delete from ' ~ target ~ ' where ' ~ stale) -%}
    {%- endif -%}
{%- endmacro %}

{# Whether the table has rows that meet the condition: a DELETE is billed whole rows even where it deletes none. #}
{% macro any_rows(relation, condition) -%}
    {%- set query -%}
        select count(*) as row_count
        from {{ relation }}
        where {{ condition }}
    {%- endset -%}
    {{ return(run_query(query).columns[0].values()[0] > 0) }}
{%- endmacro %}
