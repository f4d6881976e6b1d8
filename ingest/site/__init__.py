"""Static pages for people, which need nothing from a network: one alone, or a linked site."""
