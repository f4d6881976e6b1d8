"""Resource names: taken apart, checked, and given back with the project number."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.emulator import protos
from ingest.emulator.problems import invalid, permission_denied

_PROJECT = r"[a-z0-9](?:[a-z0-9.:-]{0,61}[a-z0-9])?"
_LOCATION = re.compile(rf"projects/({_PROJECT})/locations/([a-z0-9-]+)")
_CONVERSATION_ID = re.compile(r"[a-z0-9-]{4,64}")


@dataclass(frozen=True, slots=True)
class Names:
    """The projects that this emulator knows; without a number every project is its own."""

    project_number: str | None = None
    project_id: str | None = None

    def location(self, name: str, field: str = "parent") -> str:
        """Return `projects/{number}/locations/{location}` for a parent given by id or number."""
        found = _LOCATION.fullmatch(name)
        if not found:
            raise invalid(
                f"Invalid {field} '{name}': use projects/{{project}}/locations/{{location}}."
            )
        return f"projects/{self._project(found[1])}/locations/{found[2]}"

    def child(self, name: str, collection: str, field: str = "name") -> tuple[str, str]:
        """Return the location and the id of `{location}/{collection}/{id}`."""
        parent, _, own = name.rpartition(f"/{collection}/")
        if not own or "/" in own or not _LOCATION.fullmatch(parent):
            raise invalid(
                f"Invalid {field} '{name}': use "
                f"projects/{{project}}/locations/{{location}}/{collection}/{{id}}."
            )
        return self.location(parent, field), own

    def analysis(self, name: str) -> tuple[str, str, str]:
        """Return location, conversation id and analysis id."""
        conversation, _, analysis_id = name.rpartition("/analyses/")
        if not analysis_id or "/" in analysis_id:
            raise invalid(f"Invalid name '{name}': use …/conversations/{{id}}/analyses/{{id}}.")
        parent, conversation_id = self.child(conversation, "conversations")
        return parent, conversation_id, analysis_id

    def project_of(self, name: str) -> str:
        """Return the project that a resource name counts for, "" for a malformed name."""
        parts = name.split("/")
        if len(parts) < 2 or parts[0] != "projects":
            return ""
        return self.project_number or parts[1]

    def _project(self, project: str) -> str:
        if project == self.project_number:
            return project
        if self.project_id is not None and project != self.project_id:
            raise permission_denied(f"Permission denied on resource project {project}.")
        if self.project_number is not None and project.isdigit():
            raise permission_denied(f"Permission denied on resource project {project}.")
        return self.project_number or project


def check_selector(names: Names, selector: protos.Pb) -> None:
    """Raise unless an AnnotatorSelector names phrase matchers and issue models as they are named.

    One that doesn't exist finds nothing (assumed).
    """
    for field, collection in (
        ("phrase_matchers", "phraseMatchers"),
        ("issue_models", "issueModels"),
    ):
        for name in getattr(selector, field):
            names.child(name, collection, f"annotator_selector.{field}")


def checked_conversation_id(conversation_id: str) -> str:
    """Return the id, or raise INVALID_ARGUMENT (request message: `^[a-z0-9-]{4,64}$`)."""
    if not _CONVERSATION_ID.fullmatch(conversation_id):
        raise invalid(
            f"Invalid conversation_id '{conversation_id}': it must match ^[a-z0-9-]{{4,64}}$."
        )
    return conversation_id
