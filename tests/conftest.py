"""Fixtures for every test."""

from __future__ import annotations

pytest_plugins = ["stack_fixture", "chromium_fixture"]
