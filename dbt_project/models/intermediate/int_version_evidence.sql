{# The fold is a macro, so that a model can have it of some days alone: see macros/rows_of.sql. #}
{{ version_evidence() }}
