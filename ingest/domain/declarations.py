"""What a user declares of their own: words of the business, media, and custom fields.

Words stand in seeds (`business_lines.csv`, `call_outcomes.csv`, `call_reasons.csv`, `queues.csv`,
`media.csv`), custom fields in `vars` of `dbt_project.yml`. dbt reads the same files.
"""

from __future__ import annotations

import datetime as dt
import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from ingest.domain.conversation import Medium, Metadata

WORD_SEEDS = {
    "business_line": "business_lines",
    "call_outcome": "call_outcomes",
    "call_reason": "call_reasons",
    "queue": "queues",
}
"""Field of metadata, and the seed that lists its words."""
MEDIA_SEED = "media"
CUSTOM_FIELDS_VAR = "conversation_custom_fields"
FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class FieldType(StrEnum):
    """Type of a custom field, as BigQuery names it."""

    STRING = "string"
    INT64 = "int64"
    FLOAT64 = "float64"
    BOOL = "bool"
    DATE = "date"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class CustomField:
    """One field of `custom` in metadata.json that has a column of its own."""

    name: str
    data_type: FieldType
    description: str
    is_personal: bool = False
    is_label: bool = False
    """Whether Insights gets it as a label too."""
    is_customer: bool = False
    """Whether it names the customer, so that `forget --customer` finds all their conversations."""


class Problem(NamedTuple):
    """One value that isn't as declared; holds none of the file's values."""

    keys: tuple[str, ...]
    rule: str
    message: str
    hint: str
    is_error: bool = False


@dataclass(frozen=True)
class Declarations:
    """All that is declared; what isn't listed at all is taken as it is."""

    words: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Words of a field of metadata; a field without words takes any."""
    insights_media: Mapping[str, Medium | None] = field(
        default_factory=lambda: MappingProxyType({medium.value: medium for medium in Medium})
    )
    """What Insights takes each medium as; None: it isn't sent there."""
    custom_fields: Mapping[str, CustomField] = field(default_factory=dict)
    is_strict: bool = False
    """Whether a warning keeps a conversation out too."""

    def problems(self, metadata: Metadata) -> Iterator[Problem]:
        """Yield what in the metadata isn't as declared."""
        if metadata.medium not in self.insights_media:
            yield Problem(
                ("medium",),
                "unknown_value",
                f"no such medium is declared; there are {', '.join(self.insights_media)}",
                f"correct it, or add it to seeds/{MEDIA_SEED}.csv with what Insights takes it as",
                is_error=True,
            )
        for name, words in self.words.items():
            word = getattr(metadata, name)
            if words and word is not None and word not in words:
                near = difflib.get_close_matches(word.upper(), words, n=1)
                guess = f"did you mean {near[0]}? else " if near else ""
                yield Problem(
                    (name,),
                    "unknown_word",
                    "the value isn't among the words declared",
                    f"{guess}add it to seeds/{WORD_SEEDS[name]}.csv",
                )
        for name, value in (metadata.custom or {}).items():
            yield from self._custom_problems(name, value)

    def _custom_problems(self, name: str, value: Any) -> Iterator[Problem]:
        declared = self.custom_fields.get(name)
        if declared is None:
            yield Problem(
                ("custom", name),
                "undeclared_custom_field",
                "the custom field isn't declared",
                f"declare it in {CUSTOM_FIELDS_VAR} of dbt_project.yml; until then it has a row "
                "in conversation_custom_values and no column",
            )
        elif value is not None and not is_of_type(value, declared.data_type):
            yield Problem(
                ("custom", name),
                "custom_field_type",
                f"the value is no {declared.data_type}; its column stays empty",
                "correct the value, or the type that is declared",
            )

    def labels(self, metadata: Metadata) -> dict[str, str]:
        """Return the labels that custom fields ask for, uncut."""
        custom = metadata.custom or {}
        return {
            name: label_text(custom[name])
            for name, declared in self.custom_fields.items()
            if declared.is_label and custom.get(name) is not None
        }


def label_text(value: Any) -> str:
    """Return a custom value as BigQuery's JSON_VALUE would tell it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_of_type(value: Any, data_type: FieldType) -> bool:
    """Return whether BigQuery's SAFE_CAST of the JSON scalar gives a value of the type."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if data_type is FieldType.STRING:
        return isinstance(value, str | int | float)
    if data_type is FieldType.BOOL:
        return isinstance(value, bool)
    if data_type is FieldType.INT64:
        return isinstance(value, int) and is_number and -(2**63) <= value < 2**63
    if data_type is FieldType.FLOAT64:
        return is_number and math.isfinite(value)
    return isinstance(value, str) and _is_moment(value, data_type)


_MOMENT = TypeAdapter(dt.datetime)


def _is_moment(text: str, data_type: FieldType) -> bool:
    if data_type is FieldType.DATE:
        return re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) is not None and _is_date(text)
    if re.match(r"\d{4}-\d{2}-\d{2}[Tt ]", text) is None:  # a count since 1970 casts to NULL
        return False
    try:
        return _MOMENT.validate_strings(text).tzinfo is not None
    except ValidationError:
        return False


def _is_date(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


NOTHING_DECLARED = Declarations()
