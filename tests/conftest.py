"""Fixtures for every test."""

from __future__ import annotations

import pytest
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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process, and those of all files that use `people`, whose
    stack takes a push and a build, in one and the same."""
    of_people = {item.path for item in items if "people" in getattr(item, "fixturenames", ())}
    for item in items:
        group = "people" if item.path in of_people else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
