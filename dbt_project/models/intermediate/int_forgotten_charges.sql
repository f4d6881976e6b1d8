{{
    config(
        materialized='incremental',
        full_refresh=false,
        unique_key='forgotten_charge_id',
        incremental_predicates=[]
    )
}}
{# What analyses of forgotten conversations had cost, without whose they were. The rows are not made here: before
   ci_analyses loses a conversation, its hook `keep_charges` adds them. No raw row can give them again, so a full
   refresh keeps the table. #}
select
    cast(null as string) as forgotten_charge_id,
    cast(null as string) as reason,
    cast(null as int64) as analysis_count,
    cast(null as int64) as billing_unit_count,
    cast(null as int64) as score_count,
    cast(null as int64) as topic_count,
    cast(null as date) as analysed_date
from unnest([]) as nothing
