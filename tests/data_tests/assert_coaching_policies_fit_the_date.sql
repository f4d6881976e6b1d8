{# Law: a check is judged by the version of its policy in force on the day of the call. Who is judged by a rule that
   did not hold then is judged unjustly. #}
select checks.coaching_check_id
from {{ ref('coaching_checks') }} as checks
left join {{ ref('policies') }} as policies
    on
        checks.policy = policies.policy
        and checks.policy_version = policies.version
        and checks.call_date >= policies.valid_from
        and checks.call_date <= coalesce(policies.valid_to, checks.call_date)
where policies.policy is null
