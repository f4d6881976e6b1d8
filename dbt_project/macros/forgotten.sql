{# Post-hooks that take rows out of an incremental model; MERGE alone never does. #}

{# Rows of conversations that were forgotten after the row landed. #}
{% macro delete_forgotten() -%}
    {%- set forgotten_conversations = ref('int_conversations_forgotten') -%}
    {%- if is_incremental() -%}
        delete from {{ this }} as mart
        where exists (
            select 1
            from {{ forgotten_conversations }} as forgotten
            where
                forgotten.conversation_id = mart.conversation_id
                and mart.landed_at <= forgotten.forgotten_at
        )
    {%- endif -%}
{%- endmacro %}

{# Events of conversations that were forgotten after the event, save those of forgetting: by them a conversation is
   known as forgotten, so this asks the model itself, and at its first build too. An event that lands again later
   ended before all the same. Where nothing is forgotten there is nothing to delete, and no DELETE is sent. #}
{% macro delete_forgotten_events() -%}
    {%- if any_forgotten() -%}
        delete from {{ this }} as mart
        where
            mart.step != 'forget'
            and exists (
                select 1
                from {{ this }} as forgotten
                where
                    forgotten.conversation_id = mart.conversation_id
                    and forgotten.step = 'forget'
                    and forgotten.outcome = 'succeeded'
                    and least(mart.ended_at, mart.landed_at) <= greatest(forgotten.ended_at, forgotten.landed_at)
            )
    {%- endif -%}
{%- endmacro %}

{# Whether the events that the model holds tell of a forgetting; offline they are taken to. #}
{% macro any_forgotten() -%}
    {%- if not execute or var('offline_compile', '') -%}
        {{ return(true) }}
    {%- endif -%}
    {%- set query -%}
        select count(*) as row_count
        from {{ this }}
        where step = 'forget' and outcome = 'succeeded'
    {%- endset -%}
    {{ return(run_query(query).columns[0].values()[0] > 0) }}
{%- endmacro %}

{# Rows read from a state of the Insights conversation that is no longer its current one. #}
{% macro delete_superseded() -%}
    {%- set current_states = ref('ci_conversations') -%}
    {%- if is_incremental() -%}
        delete from {{ this }} as mart
        where not exists (
            select 1
            from {{ current_states }} as current_state
            where
                current_state.conversation_id = mart.conversation_id
                and current_state.payload_sha256 = mart.payload_sha256
        )
    {%- endif -%}
{%- endmacro %}

{# Pre-hook of ci_analyses: what the rows that a forgetting takes away had cost stays known, without whose they were. #}
{% macro keep_charges() -%}
    {%- set charges = ref('int_forgotten_charges').render() -%}
    {%- set forgotten_conversations = ref('int_conversations_forgotten') -%}
    {%- if execute and load_relation(this) is not none -%}
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
