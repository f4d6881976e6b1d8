"""Declared once: raw tables (BigQuery schema JSON) and file formats (JSON Schema)."""
