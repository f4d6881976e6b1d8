"""Unit tests touch no network; those of servers and of clients use loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket

_WITH_OWN_SERVERS = {"local", "emulator", "gcp"}


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.path.parent.name in _WITH_OWN_SERVERS:
        yield
        return
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
