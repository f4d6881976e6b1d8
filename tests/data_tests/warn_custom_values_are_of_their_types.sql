{# Values of declared custom fields that aren't of the declared type: a warning that counts them by field. Their column
   in conversation_custom_fields is null, their text stands in conversation_custom_values. #}
{{ config(severity='warn') }}
select
    custom_field,
    count(*) as value_count
from {{ ref('conversation_custom_values') }}
where is_current and is_of_another_type
group by custom_field
