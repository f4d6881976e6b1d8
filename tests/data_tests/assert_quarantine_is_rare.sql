{# Law: of more than twenty delivered conversations no rule sets aside more than a twentieth. One odd conversation is
   its own matter; many that are odd in the same way are the pipeline's, and marts without them would be wrong in
   silence. #}
with

delivered as (
    select
        versions.conversation_id,
        quarantined.rule
    from {{ ref('conversation_registry_current') }} as versions
    left join {{ ref('quarantined_conversations') }} as quarantined
        on versions.conversation_id = quarantined.conversation_id
    where versions.origin = 'delivered' and versions.status = 'analysed'
),

rules as (
    select
        rule,
        count(*) as quarantined_count
    from delivered
    where rule is not null
    group by rule
)

select rule
from rules
where
    quarantined_count > 20
    and quarantined_count > (select count(distinct delivered.conversation_id) from delivered) / 20
