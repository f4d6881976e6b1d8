{# Post-hooks that take rows out of an incremental model; MERGE alone never does. Each asks first whether there are any:
   where nothing goes, no DELETE is sent. A forgetting may show long after it landed, and on days that no build has
   listed, so what is forgotten is looked for by id on all days as soon as anything is. #}

{# Rows of conversations that were forgotten after the row landed. #}
{% macro delete_forgotten() -%}
    {%- set forgotten_conversations = ref('int_conversations_forgotten') -%}
    {%- set forgotten -%}
        exists (
            select 1
            from {{ forgotten_conversations }} as forgotten
            where
                forgotten.conversation_id = mart.conversation_id
                and mart.landed_at <= forgotten.forgotten_at
        )
    {%- endset -%}
    {%- if is_incremental() and any_known(forgotten_conversations) and any_known(this ~ ' as mart', forgotten) -%}
        delete from {{ this }} as mart
        where {{ forgotten }}
    {%- endif -%}
{%- endmacro %}

{# Events of conversations that were forgotten after the event, save those of forgetting: by them a conversation is
   known as forgotten, so this asks the model itself, and at its first build too. An event that lands again later
   ended before all the same. #}
{% macro delete_forgotten_events() -%}
    {%- set forgettings = "kept_date = date '1970-01-01' and step = 'forget' and outcome = 'succeeded'" -%}
    {%- set forgotten -%}
        mart.step != 'forget'
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
    {%- if any_known(this, forgettings) and any_known(this ~ ' as mart', forgotten) -%}
        delete from {{ this }} as mart
        where {{ forgotten }}
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
    {%- set forgotten -%}
        mart.conversation_id in (select forgotten.conversation_id from {{ forgotten_conversations }} as forgotten)
        and not exists (
            select 1
            from {{ current_states }} as current_state
            where
                current_state.conversation_id = mart.conversation_id
                and current_state.payload_sha256 = mart.payload_sha256
        )
    {%- endset -%}
    {%- if is_incremental() and any_known(forgotten_conversations) and any_known(this ~ ' as mart', forgotten) -%}
        delete from {{ this }} as mart
        where {{ forgotten }}
    {%- endif -%}
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
    {%- if execute and load_relation(this) is not none and any_known(forgotten_conversations) -%}
        insert into {{ charges }} (forgotten_charge_id, reason, analysis_count, billing_unit_count, analysed_date)
        select
            min(mart.analysis_id) as forgotten_charge_id,
            mart.reason,
            count(*) as analysis_count,
            sum(mart.billing_unit_count) as billing_unit_count,
            date(mart.analysed_at) as analysed_date
        from {{ this }} as mart
        inner join {{ forgotten_conversations }} as forgotten
            on mart.conversation_id = forgotten.conversation_id
        where mart.landed_at <= forgotten.forgotten_at
        group by mart.conversation_id, mart.reason, date(mart.analysed_at)
        having min(mart.analysis_id) not in (select forgotten_charge_id from {{ charges }})
    {%- endif -%}
{%- endmacro %}
