"""The only place that imports Google's clients; translates their errors once."""
