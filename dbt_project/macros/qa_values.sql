{# An answer as one text, by which two are compared: its key, else its value. #}
{% macro qa_answer(of) -%}
    coalesce(
        nullif({{ of }}.answer_key, ''), {{ of }}.text_value, cast({{ of }}.number_value as string),
        cast({{ of }}.bool_value as string), if({{ of }}.is_na, 'na', null)
    )
{%- endmacro %}
