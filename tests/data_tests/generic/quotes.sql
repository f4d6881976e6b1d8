{# Law: what stands between « and » in the column was said in the conversation, letter by letter. A model that makes up
   quotes puts words into somebody's mouth. #}
{% test quotes(model, column_name) %}
    select
        worded.conversation_id,
        quote
    from {{ model }} as worded
    cross join unnest(regexp_extract_all(worded.{{ column_name }}, r'«([^»]*)»')) as quote
    left join {{ ref('ci_turns') }} as turns
        on worded.conversation_id = turns.conversation_id
    group by worded.conversation_id, quote
    having countif(strpos(turns.text, quote) > 0) = 0
{% endtest %}
