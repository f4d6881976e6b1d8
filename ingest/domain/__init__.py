"""Pure rules: no Google clients, no terminal, no clock, no files."""
