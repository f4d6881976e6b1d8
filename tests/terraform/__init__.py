"""Checks of terraform/ that need no cloud account: see terraform/README.md."""
