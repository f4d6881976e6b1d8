"""Analyses as CI lists them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from ingest.gcp.payload import rest_json
from ingest.ports.inspect import CiAnalysisState


def ci_analysis_state(pb: Any) -> CiAnalysisState:
    """Return the analysis of a plain protobuf message."""
    return CiAnalysisState(
        name=pb.name,
        created_at=pb.create_time.ToDatetime(tzinfo=dt.UTC),
        payload=rest_json(pb),
    )
