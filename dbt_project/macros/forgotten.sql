{# Post-hooks that take rows out of an incremental model; MERGE alone never does. Each asks first whether there are any:
   where nothing goes, no DELETE is sent. What was forgotten is looked for on the days on which it has ever stood, by
   literals: see `in_forgotten_days`. #}

{# Rows of conversations that were forgotten after the row landed. `of_facts` is for those that the index is made of. #}
{% macro delete_forgotten(of_facts=false) -%}
    {%- set forgotten_conversations = ref('int_conversations_forgotten') -%}
    {%- set days = in_forgotten_days('mart.batch_date', forgotten_conversations if of_facts else none) -%}
    {%- set forgotten -%}
        {{ days }}
        and exists (
            select 1
            from {{ forgotten_conversations }} as forgotten
            where
                forgotten.conversation_id = mart.conversation_id
                and mart.landed_at <= forgotten.forgotten_at
        )
    {%- endset -%}
    {%- if is_incremental() and days and any_known(this ~ ' as mart', forgotten) -%}
        delete from {{ this }} as mart
        where {{ forgotten }}
    {%- endif -%}
{%- endmacro %}

{# Events of conversations that were forgotten after the event, save those of forgetting: by them a conversation is
   known as forgotten, so this asks the model itself, and at its first build too. An event that lands again later
   ended before all the same; it stands on a day of this build. #}
{% macro delete_forgotten_events() -%}
    {%- set forgettings = "kept_date = date '1970-01-01' and step = 'forget' and outcome = 'succeeded'" -%}
    {%- set forgetting -%}
        (
            select
                conversation_id,
                greatest(ended_at, landed_at) as forgotten_at
            from {{ this }}
            where {{ forgettings }}
        )
    {%- endset -%}
    {%- if any_known(this, forgettings) -%}
        {%- set days = in_forgotten_days('mart.kept_date', forgetting) -%}
        {%- set forgotten -%}
            mart.step != 'forget'
            and ({{ [days, in_own_days('mart.kept_date')] | select | join(' or ') }})
            and exists (
                select 1
                from {{ this }} as forgotten
                where
                    forgotten.kept_date = date '1970-01-01'
                    and forgotten.conversation_id = mart.conversation_id
                    and forgotten.step = 'forget'
                    and forgotten.outcome = 'succeeded'
                    and least(mart.ended_at, mart.landed_at) <= greatest(forgotten.ended_at, forgotten.landed_at)
            )
        {%- endset -%}
        {%- if any_known(this ~ ' as mart', forgotten) -%}
            delete from {{ this }} as mart
            where {{ forgotten }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# Rows read from a state of the Insights conversation where another is its current one now. That the days of this
   build have no state says nothing: it may stand on a day that they lack. #}
{% macro delete_superseded() -%}
    {%- set current_states = ref('ci_conversations') -%}
    {%- if is_incremental() -%}
        {%- set superseded -%}
            {{ in_own_days('mart.batch_date') }}
            and exists (
                select 1
                from {{ current_states }} as current_state
                where
                    {{ in_own_days('current_state.batch_date') }}
                    and current_state.conversation_id = mart.conversation_id
                    and current_state.payload_sha256 != mart.payload_sha256
            )
        {%- endset -%}
        {%- if any_known(this ~ ' as mart', superseded) -%}
            delete from {{ this }} as mart
            where {{ superseded }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# Rows of conversations that were ever forgotten, save those of what is their current state since. #}
{% macro delete_forgotten_states() -%}
    {%- set current_states = ref('ci_conversations') -%}
    {%- set forgotten_conversations = ref('int_conversations_forgotten') -%}
    {%- set days = in_forgotten_days('mart.batch_date') -%}
    {%- set forgotten -%}
        {{ days }}
        and mart.conversation_id in (select forgotten.conversation_id from {{ forgotten_conversations }} as forgotten)
        and not exists (
            select 1
            from {{ current_states }} as current_state
            where
                {{ days | replace('mart.batch_date', 'current_state.batch_date') }}
                and current_state.conversation_id = mart.conversation_id
                and current_state.payload_sha256 = mart.payload_sha256
        )
    {%- endset -%}
    {%- if is_incremental() and days and any_known(this ~ ' as mart', forgotten) -%}
        delete from {{ this }} as mart
        where {{ forgotten }}
    {%- endif -%}
{%- endmacro %}

{# The days, as a condition, on which whoever was forgotten stands or has ever stood; an empty text where nobody was.
   It looks for forgettings that landed since the model's watermark, and a day before, so that one shows that landed
   late, and one that a build missed: a hook that failed is tried again while the watermark is younger than that.
   `forgettings` is for facts, which are made before the index: they ask it as the last build left it. #}
{% macro in_forgotten_days(column, forgettings=none) -%}
    {%- if not execute -%}
        {%- do ref('int_forgotten_days') if forgettings is none -%}
    {%- endif -%}
    {%- if not execute or var('offline_compile', '') -%}
        {{ return(column ~ " in (date '2020-01-01')") }}
    {%- endif -%}
    {%- if not is_incremental() -%}
        {{ return('') }}
    {%- endif -%}
    {%- set days = ref('int_forgotten_days') if forgettings is none else days_of_forgotten(forgettings) -%}
    {%- set found = modules.re.search("landed_at >= timestamp '([^']+)'", model.compiled_code or '') -%}
    {%- set since = found.group(1) if found else '1970-01-01 00:00:00+00' -%}
    {%- set lately = "forgotten_at >= timestamp_sub(timestamp '" ~ since ~ "', interval 1 day)" -%}
    {%- if days is none -%}
        {{ return('true') }}
    {%- endif -%}
    {%- set listed = in_listed_dates(column, days, lately) -%}
    {{ return('' if "date '0001-01-01'" in listed else listed) }}
{%- endmacro %}

{# A query of those days, or none where there is no index yet. #}
{% macro days_of_forgotten(forgettings) -%}
    {%- set index = adapter.get_relation(
        target.database, generate_schema_name('staging', none), 'int_conversation_days'
    ) -%}
    {%- if index is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set query -%}
        (
            select
                days.batch_date,
                forgotten.forgotten_at
            from {{ index }} as days
            inner join {{ forgettings }} as forgotten
                on days.conversation_key = farm_fingerprint(forgotten.conversation_id)
        )
    {%- endset -%}
    {{ return(query) }}
{%- endmacro %}

{# Whether a table has such rows; offline it is taken to have them. #}
{% macro any_known(relation, condition='true') -%}
    {%- if not execute or var('offline_compile', '') -%}
        {{ return(true) }}
    {%- endif -%}
    {{ return(any_rows(relation, condition)) }}
{%- endmacro %}

{# Pre-hook of ci_analyses: what the rows that a forgetting takes away had cost stays known, without whose they were. #}
{% macro keep_charges() -%}
    {%- set charges = ref('int_forgotten_charges').render() -%}
    {%- set forgotten_conversations = ref('int_conversations_forgotten') -%}
    {%- set days = in_forgotten_days('mart.batch_date') -%}
    {#- The index of a full refresh lacks the days of whom raw no longer has: it asks for all. #}
    {%- if execute and load_relation(this) is not none
        and (days if is_incremental() else any_known(forgotten_conversations)) -%}
        {#- A table that an older version built gets its columns after this hook. #}
        {%- set has_scores = 'score_count' in adapter.get_columns_in_relation(this) | map(attribute='name') %}
        insert into {{ charges }} (
            forgotten_charge_id, reason, analysis_count, billing_unit_count, score_count, topic_count, analysed_date
        )
        select
            min(mart.analysis_id) as forgotten_charge_id,
            mart.reason,
            count(*) as analysis_count,
            sum(mart.billing_unit_count) as billing_unit_count,
            {{ 'sum(mart.score_count)' if has_scores else '0' }} as score_count,
            {{ 'countif(mart.has_topics)' if has_scores else '0' }} as topic_count,
            date(mart.analysed_at) as analysed_date
        from {{ this }} as mart
        inner join {{ forgotten_conversations }} as forgotten
            on mart.conversation_id = forgotten.conversation_id
        where
            mart.landed_at <= forgotten.forgotten_at
            and {{ days or 'true' }}
        group by mart.conversation_id, mart.reason, date(mart.analysed_at)
        having min(mart.analysis_id) not in (select forgotten_charge_id from {{ charges }})
    {%- endif -%}
{%- endmacro %}

{# Rows of a CTE but those of conversations that were forgotten after the row landed. #}
{% macro unforgotten(rows) -%}
    select {{ rows }}.*
    from {{ rows }}
    left join {{ ref('int_conversations_forgotten') }} as forgotten
        on
            {{ rows }}.conversation_id = forgotten.conversation_id
            and {{ rows }}.landed_at <= forgotten.forgotten_at
    where forgotten.conversation_id is null
{%- endmacro %}
