"""Whose credentials the clients use: Google's defaults, or nobody's for an emulator."""

from __future__ import annotations

from collections.abc import Sequence

import google.auth
from google.api_core.client_options import ClientOptions
from google.auth.credentials import Credentials
from google.auth.transport.requests import Request
from google.oauth2.credentials import Credentials as UserCredentials

from ingest.gcp.errors import translated
from ingest.settings import GOOGLES_UNIVERSE, Settings


def is_emulator(endpoint: str | None) -> bool:
    """Return whether the endpoint is an emulator's, which asks for no credentials.

    A private endpoint of Google Cloud is https; a token never goes over plain http.
    """
    return endpoint is not None and endpoint.startswith("http://")


def default_credentials(service: str, scopes: Sequence[str]) -> Credentials:
    """Return Application Default Credentials; raise SettingsError where there are none.

    The clients renew them by themselves whenever their token runs out.
    """
    with translated(service):
        credentials, _ = google.auth.default(scopes=list(scopes))
    return credentials


def client_options(settings: Settings, endpoint: str | None) -> ClientOptions:
    """Return where a client finds its service."""
    universe = settings.universe_domain
    return ClientOptions(
        api_endpoint=endpoint, universe_domain=None if universe == GOOGLES_UNIVERSE else universe
    )


def renewed_owner(credentials: Credentials) -> str:
    """Renew the credentials' token now, and return whose they are."""
    with translated("credentials"):
        credentials.refresh(Request())
    return getattr(credentials, "service_account_email", None) or "of a user account"


def lacks_quota_project(credentials: Credentials) -> bool:
    """Tell whether they are a person's and name no project that requests are counted on.

    Service accounts have one of their own.
    """
    return isinstance(credentials, UserCredentials) and credentials.quota_project_id is None
