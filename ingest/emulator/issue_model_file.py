"""The file of an exported issue model: JSON with its issues.

Of its form only `issues` with name, displayName and displayDescription are known; the model's own
name and language beside them are assumed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import orjson

from ingest.emulator import protos
from ingest.emulator.errors import invalid

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_Model = protos.message_class("IssueModel")


def model_file(model: protos.Pb, issues: Sequence[protos.Pb]) -> bytes:
    """Return the file of a model and its issues."""
    content = {
        "name": model.name,
        "displayName": model.display_name,
        "languageCode": model.language_code,
        "issues": [
            {
                "name": issue.name,
                "displayName": issue.display_name,
                "displayDescription": issue.display_description,
            }
            for issue in issues
        ],
    }
    return json.dumps(content, indent=2).encode()


class ModelFile:
    """An exported model; what isn't known of its form is left alone (assumed).

    Raises INVALID_ARGUMENT for a file that is no such JSON.
    """

    def __init__(self, content: bytes) -> None:
        try:
            whole = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise invalid(f"The file of the issue model is no JSON ({error.msg}).") from error
        if not isinstance(whole, dict) or not isinstance(whole.get("issues"), list):
            raise invalid("The file of the issue model has no list of issues.")
        self.model = _Model(
            display_name=_text(whole, "displayName"), language_code=_text(whole, "languageCode")
        )
        self.issues = [_issue_of(each) for each in whole["issues"]]
        """Id ("" without one), display name and description of each issue."""
        names = [_text(each, "name") for each in (whole, *whole["issues"])]
        ids = {_id_in(name, "issueModels") for name in names} - {""}
        if len(ids) > 1:
            raise invalid("The issues of the file are of different models.")
        self.model_id = "".join(ids)
        own = [own_id for own_id, _, _ in self.issues if own_id]
        if len(own) != len(set(own)):
            raise invalid("Two issues of the file have the same name.")


def _issue_of(content: object) -> tuple[str, str, str]:
    if not isinstance(content, dict):
        raise invalid("An issue of the file is no object.")
    display_name = _text(content, "displayName")
    if not display_name:
        raise invalid("An issue of the file has no displayName.")
    own_id = _id_in(_text(content, "name"), "issues")
    return own_id, display_name, _text(content, "displayDescription")


def _text(content: dict[str, Any], key: str) -> str:
    value = content.get(key, "")
    if not isinstance(value, str):
        raise invalid(f"In the file of the issue model {key} is no text.")
    return value


def _id_in(name: str, collection: str) -> str:
    """Return the id that stands behind a collection in a resource name, or ""."""
    parts = name.split("/")
    found = parts[parts.index(collection) + 1] if collection in parts[:-1] else ""
    if found and not _ID.fullmatch(found):
        raise invalid(f"The file of the issue model has a malformed name '{name}'.")
    return found
