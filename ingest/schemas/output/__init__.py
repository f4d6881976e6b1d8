"""JSON Schemas of what commands print with `--json`; `tests.output_schemas` makes them."""
