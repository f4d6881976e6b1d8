"""JSON Schemas of what commands print with `--json`; `ingest.cli._output_schemas` makes them."""
