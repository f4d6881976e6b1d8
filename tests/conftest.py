"""Fixtures for every test."""

from __future__ import annotations

pytest_plugins = [
    "stack_fixture",
    "ingest.emulator.pytest_plugin",
    "chromium_fixture",
    "people_fixture",
]
