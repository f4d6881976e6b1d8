"""Flows that only read: what is where, since when, and why."""
