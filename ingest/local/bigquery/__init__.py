"""The BigQuery emulator, corrected where it is kinder or stricter than BigQuery."""
