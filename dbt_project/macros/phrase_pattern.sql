{# The rule by which a phrase is found in a turn; ingest/domain/phrase_matching.py states it in full.
   Runs of white space are equal, typographic apostrophes equal the plain one, and a letter, digit or
   combining mark that adjoins, directly or behind an apostrophe, makes a longer word. #}

{% macro plain_text(text) -%}
    regexp_replace({{ text }}, r'[‘’‛ʼ´`′＇]', "'")
{%- endmacro %}

{# A regular expression for the phrase without its word boundaries, which RE2 can't look behind for. #}
{% macro phrase_pattern(phrase, is_case_sensitive) -%}
    concat(
        if({{ is_case_sensitive }}, '', '(?i)'),
        regexp_replace(
            regexp_replace(trim({{ plain_text(phrase) }}), r'([^\pL\pN\s])', r'\\\1'), r'\s+', r'[\\s\\pZ]+'
        )
    )
{%- endmacro %}

{# True where the characters from start_char (0-based) to end_char (exclusive) are whole words. #}
{% macro is_whole_words(plain_text, start_char, end_char) -%}
    (
        not regexp_contains(
            substr({{ plain_text }}, greatest({{ start_char }} - 1, 1), least({{ start_char }}, 2)),
            r"[\pL\pN\x{0300}-\x{036f}]'?$"
        )
        and not regexp_contains(
            substr({{ plain_text }}, {{ end_char }} + 1, 2), r"^'?[\pL\pN\x{0300}-\x{036f}]"
        )
    )
{%- endmacro %}

{# Where the phrase stands in the text as whole words: array<struct<start_char, end_char>>, in order. #}
{% macro phrase_spans(plain_text, pattern) -%}
    {%- set start = '(cast(regexp_instr(' ~ plain_text ~ ', ' ~ pattern ~ ', 1, nth + 1) as int64) - 1)' -%}
    {%- set end = '(' ~ start ~ ' + char_length(occurrence))' -%}
    {%- set spans -%}
        array(
            select as struct
                {{ start }} as start_char,
                {{ end }} as end_char
            from unnest(regexp_extract_all({{ plain_text }}, {{ pattern }})) as occurrence with offset as nth
            where {{ is_whole_words(plain_text, start, end) }}
            order by nth
        )
    {%- endset -%}
    {{ spans.split() | join(' ') }}
{%- endmacro %}
