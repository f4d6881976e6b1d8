"""Durations as people write them."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import grpc
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ingest.emulator import protos
from ingest.emulator.errors import ApiError
from ingest.emulator.methods import (
    BULK_KINDS,
    EVERY,
    METHOD_NAMES,
    OPERATION_KINDS,
    UNIMPLEMENTED_NAMES,
    check_name,
)
from ingest.errors import InputError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, None: 1_000_000}


def parse_duration(text: str) -> int:
    """Return the microseconds of `250ms`, `14s`, `2m`, `1h` or `1.5` (seconds)."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise InputError(f"{text!r} is no duration", "write for example 250ms, 14s, 2m or 1h")
    return round(float(found[1]) * _UNITS[found[2]])


Target = Literal["method", "operation", "partial"]
_CODES = {code.name: code for code in grpc.StatusCode if code is not grpc.StatusCode.OK}


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


class Fault(BaseModel):
    """One line of a plan; it names exactly one of method, operation and partial."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str | None = Field(default=None, description="RPC whose call fails, or *.")
    operation: str | None = Field(default=None, description="Kind of operation that ends in error.")
    partial: str | None = Field(default=None, description="Bulk operation of which an item fails.")
    nth: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_as_list)] = Field(
        default=(), description="Which calls since the plan was set, counted from 1."
    )
    probability: float = Field(default=0, ge=0, le=1, description="Share of the calls that fail.")
    status: str = Field(description="Status by name, for example UNAVAILABLE.")
    message: str = Field(default="Injected fault.", description="Message of the status.")
    when: Literal["before", "after"] = Field(
        default="before", description="Before or after the effect is stored."
    )
    times: int | None = Field(default=None, ge=1, description="At most so often.")
    retry_after: str | None = Field(default=None, description="RetryInfo, for example 30s.")

    @field_validator("status")
    @classmethod
    def _known_status(cls, value: str) -> str:
        if value not in _CODES:
            raise ValueError(f"unknown status; use one of {', '.join(_CODES)}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Fault:
        named = [name for name in (self.method, self.operation, self.partial) if name is not None]
        if len(named) != 1:
            raise ValueError("name exactly one of method, operation, partial")
        self._check_target()
        if bool(self.nth) == bool(self.probability):
            raise ValueError("give exactly one of nth and probability")
        if self.retry_after is not None:
            parse_duration(self.retry_after)
        return self

    def _check_target(self) -> None:
        """Refuse what can never strike."""
        target, name = self.target()
        known = {"method": METHOD_NAMES, "operation": OPERATION_KINDS, "partial": BULK_KINDS}
        try:
            check_name(name, known[target], target)
        except InputError as error:
            raise ValueError(f"{error.message}: {error.hint}") from error
        if self.when == "after" and target == "partial":
            raise ValueError("an item fails before its effect only: leave out 'when: after'")
        if self.when == "after" and name in UNIMPLEMENTED_NAMES:
            raise ValueError(f"{name} has no effect here: leave out 'when: after'")

    def target(self) -> tuple[Target, str]:
        """Return what fails."""
        if self.method is not None:
            return "method", self.method
        if self.operation is not None:
            return "operation", self.operation
        return "partial", str(self.partial)

    def error(self) -> ApiError:
        """Return the refusal that callers see."""
        details = []
        if self.retry_after is not None:
            delay = protos.duration(parse_duration(self.retry_after))
            details.append(protos.RetryInfo(retry_delay=delay))
        return ApiError(_CODES[self.status], self.message, details)


class _Plan(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    faults: tuple[Fault, ...] = ()


class FaultPlan:
    """Decides call by call; the same plan and the same calls give the same faults."""

    def __init__(self, plan: _Plan | None = None) -> None:
        self._plan = plan or _Plan()
        self._rng = random.Random(self._plan.seed)
        self._seen: dict[int, int] = {}
        self._fired: dict[int, int] = {}

    @classmethod
    def parse(cls, plan: str | Mapping[str, Any]) -> FaultPlan:
        """Return the plan of a YAML text or of its content; raise InputError for a bad one."""
        try:
            content = yaml.safe_load(plan) if isinstance(plan, str) else plan
            return cls(_Plan.model_validate({} if content is None else content))
        except yaml.YAMLError as error:
            raise InputError("the fault plan is not YAML", str(error)) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(f"the fault plan is wrong at {where}: {first['msg']}") from error

    def draw(self, target: Target, name: str) -> Fault | None:
        """Count one more of these and return the fault that hits it, if any."""
        hit = None
        for index, fault in enumerate(self._plan.faults):
            kind, wanted = fault.target()
            if kind != target or wanted not in (name, EVERY):
                continue
            self._seen[index] = self._seen.get(index, 0) + 1
            if hit is None and self._strikes(index, fault):
                self._fired[index] = self._fired.get(index, 0) + 1
                hit = fault
        return hit

    def _strikes(self, index: int, fault: Fault) -> bool:
        if fault.times is not None and self._fired.get(index, 0) >= fault.times:
            return False
        if fault.nth:
            return self._seen[index] in fault.nth
        return self._rng.random() < fault.probability
