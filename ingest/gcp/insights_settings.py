"""Settings of one location of CI, through the official async gRPC client."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.cloud import contact_center_insights_v1 as insights
from google.protobuf import field_mask_pb2

from ingest.gcp.insights import insights_client
from ingest.gcp.payload import rest_json
from ingest.gcp.remote_errors import translated
from ingest.settings import Settings


class GrpcInsightsSettings:
    """The settings object of the project's location, or of the emulator. No call is retried."""

    def __init__(self, settings: Settings) -> None:
        self._timeout = settings.rpc_timeout_sec
        self._name = f"projects/{settings.project_id}/locations/{settings.location}/settings"
        self._client = insights_client(settings)

    async def close(self) -> None:
        """Close the channel."""
        await self._client.transport.close()

    async def get_settings(self) -> Mapping[str, Any]:
        """Return them as REST JSON."""
        request = insights.GetSettingsRequest(name=self._name)
        with translated("CI"):
            reply = await self._client.get_settings(request, timeout=self._timeout, retry=None)
        return rest_json(insights.Settings.pb(reply))

    async def update_settings(self, rest: Mapping[str, Any], fields: Sequence[str]) -> None:
        """Set these fields to what the REST JSON says; one that it doesn't name is cleared."""
        settings = insights.Settings.from_json(json.dumps({**rest, "name": self._name}))
        request = insights.UpdateSettingsRequest(
            settings=settings, update_mask=field_mask_pb2.FieldMask(paths=list(fields))
        )
        with translated("CI"):
            await self._client.update_settings(request, timeout=self._timeout, retry=None)
