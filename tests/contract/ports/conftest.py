"""Offers the `ports` fixture to every case here."""

from __future__ import annotations

from conftest_ports import ports as ports
