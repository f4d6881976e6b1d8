"""The distributions that a data set is asked to have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ingest.datagen.scenarios import load_script
from ingest.errors import InputError

PROFILE_FILE = Path(__file__).with_name("profile.yaml")

Share = Annotated[float, Field(ge=0, le=1)]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Range(BaseModel):
    """Numbers with one decimal, both ends included."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    first: float = Field(alias="from")
    last: float = Field(alias="to")


CustomValues = Range | Annotated[list[str | int | float | bool | None], Field(min_length=1)]
"""What a custom field may be: a number of a range, or one of a list."""


class Greeting(BaseModel):
    """How often a conversation opens in another language, and the words of its greeting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: Share
    words: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=80)], ...], Field(min_length=1)
    ]


class Profile(BaseModel):
    """Distributions of a data set; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenarios: dict[str, Weight]
    chat_share: Share
    ivr_share: Share
    disclosure_missed_share: Share
    noisy_phrase_share: Share
    coaching_fault_share: Share
    exemplary_share: Share
    hesitation: Share
    back_channel_share: Share
    interruption_share: Share
    turn_ends_share: Share
    greetings: dict[LanguageCode, Greeting] = Field(default_factory=dict)
    custom: dict[str, CustomValues] = Field(default_factory=dict)
    weekdays: Annotated[tuple[Weight, ...], Field(min_length=7, max_length=7)]
    hours: dict[Annotated[int, Field(ge=0, le=22)], Weight]

    @model_validator(mode="after")
    def _names_scenarios_and_has_weight(self) -> Profile:
        known = load_script().scenarios
        unknown = self.scenarios.keys() - known.keys()
        if unknown:
            raise ValueError(f"unknown scenarios {sorted(unknown)}; there are {sorted(known)}")
        for weights in (self.scenarios.values(), self.weekdays, self.hours.values()):
            if sum(weights) <= 0:
                raise ValueError("all weights of one kind are zero")
        if sum(greeting.share for greeting in self.greetings.values()) > 1:
            raise ValueError("the shares of all greetings are more than 1 together")
        if self.chat_share and not any(
            weight and known[name].chat_weight for name, weight in self.scenarios.items()
        ):
            raise ValueError("no scenario with weight allows chat; set chat_share to 0")
        return self


def load_profile(path: Path | None = None) -> Profile:
    """Return the built-in profile, with the file's values put over it.

    `scenarios` in the file replaces the built-in weights as a whole.
    """
    fields = yaml.safe_load(PROFILE_FILE.read_text(encoding="utf-8"))
    if path is not None:
        try:
            own = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(f"can't read the profile {path}", str(error)) from error
        if not isinstance(own, dict):
            raise InputError(f"the profile {path} is no mapping", "see ingest/datagen/profile.yaml")
        fields |= own
    try:
        return Profile.model_validate(fields)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'profile'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise InputError(
            f"unusable profile: {faults}", "see ingest/datagen/profile.yaml"
        ) from error
