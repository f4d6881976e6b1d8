{# The rule by which a phrase is found in a turn; ingest/domain/phrase_matching.py states it in full.
   Runs of white space are equal, typographic apostrophes equal the plain one, and a letter, digit or
   combining mark that adjoins, directly or behind an apostrophe, makes a longer word.

   RE2 can't look ahead or behind, and a boundary that one hit consumed would be missing for the next.
   So the places where a phrase may start or end are marked in the text, with two characters that
   Unicode keeps out of texts: U+FDD0 where one may start, U+FDD1 where one may end. #}

{% macro plain_text(text) -%}
    regexp_replace({{ text }}, r'[‘’‛ʼ´`′＇]', "'")
{%- endmacro %}

{# First every word, and every character outside of words, gets both marks. Then those are taken away that
   stand behind a word (a start), or before one (an end), be it behind or before an apostrophe. #}
{% macro marked_text(plain_text) -%}
    {%- set word = '[\\pL\\pN\\x{0300}-\\x{036f}]' -%}
    {%- set words = word ~ "+(?:'" ~ word ~ '+)*' -%}
    {%- set others = word.replace('[', '[^') -%}
    regexp_replace(
        regexp_replace(
            regexp_replace(
                {{ plain_text }},
                r"({{ words }}|{{ others }})",
                '\ufdd0\\1\ufdd1'
            ),
            r"({{ word }}\x{fdd1})\x{fdd0}(?:('\x{fdd1})\x{fdd0})?",
            r'\1\2'
        ),
        r"(?:\x{fdd1}(\x{fdd0}?'))?\x{fdd1}(\x{fdd0}{{ word }})",
        r'\1\2'
    )
{%- endmacro %}

{# A regular expression for the phrase in a marked text. RE2 takes a backslash before punctuation of ASCII
   alone. Without regard to case the Turkish i's equal the others, as they do in Python. #}
{% macro phrase_pattern(phrase, is_case_sensitive) -%}
    {%- set space = '\\s\\v\\x{1c}-\\x{1f}\\x{85}\\pZ' -%}
    {%- set marks = '[\\\\x{fdd0}\\\\x{fdd1}]*' -%}
    {%- set new_space = space.replace('\\', '\\\\') -%}
    {%- set trimmed = "regexp_replace(" ~ plain_text(phrase) ~ ", r'^[" ~ space ~ "]+|[" ~ space ~ "]+$', '')" -%}
    concat(
        if({{ is_case_sensitive }}, '', '(?i)'),
        r'\x{fdd0}',
        regexp_replace(
            regexp_replace(
                regexp_replace(
                    regexp_replace({{ trimmed }}, r'([!-/:-@\[-`{-~])', r'\\\1'),
                    r'(\\.|[^\\\pL\pN\x{0300}-\x{036f}{{ space }}])',
                    r'{{ marks }}\1{{ marks }}'
                ),
                r'[{{ space }}]+',
                r'{{ marks }}[{{ new_space }}][{{ new_space }}\\x{fdd0}\\x{fdd1}]*'
            ),
            if({{ is_case_sensitive }}, r'\x{fdd0}', r'[iIİı]'),
            r'[iIİı]'
        ),
        r'\x{fdd1}'
    )
{%- endmacro %}

{# Where the phrase stands in a marked text as whole words: array<struct<start_char, end_char>>, in order and
   counted in the unmarked text. Hits of one phrase don't overlap: the first one counts. #}
{% macro phrase_spans(marked_text, pattern) -%}
    {%- set marks = "r'[\\x{fdd0}\\x{fdd1}]', ''" -%}
    {%- set found = 'cast(regexp_instr(' ~ marked_text ~ ', ' ~ pattern ~ ', 1, nth + 1) as int64)' -%}
    {%- set before = 'substr(' ~ marked_text ~ ', 1, ' ~ found ~ ')' -%}
    {%- set spans -%}
        array(
            select as struct
                char_length(regexp_replace({{ before }}, {{ marks }})) as start_char,
                char_length(regexp_replace({{ before }}, {{ marks }}))
                + char_length(regexp_replace(occurrence, {{ marks }})) as end_char
            from unnest(regexp_extract_all({{ marked_text }}, {{ pattern }})) as occurrence with offset as nth
            order by nth
        )
    {%- endset -%}
    {{ spans.split() | join(' ') }}
{%- endmacro %}

{# What the lower-case text of every turn that has the phrase is like: the phrase's ASCII letters in their order,
   but for i, k and s, which other letters equal without regard to case. Cheap, and never stricter than the
   pattern, so it may go before it. #}
{% macro phrase_letters(phrase) -%}
    concat('%', regexp_replace(lower({{ phrase }}), r'[^a-hjl-rt-z0-9]+', '%'), '%')
{%- endmacro %}
