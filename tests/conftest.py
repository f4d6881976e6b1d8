"""Fixtures for every test."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = [
    "stack_fixture",
    "ingest.emulator.pytest_plugin",
    "chromium_fixture",
    "people_fixture",
]

# How long an example takes is the machine's matter; a first one also imports.
settings.register_profile("unhurried", parent=settings.default, deadline=None)
settings.load_profile("unhurried")
