"""The workflow, step by step: its day, a day without a folder, a failed push, two at once.

Its expressions are Python's too, so they are evaluated as they stand; connectors are those of the
test. What Workflows itself makes of the file is for a real project to show.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from .workspace import REPOSITORY

MODULE = REPOSITORY / "terraform" / "modules" / "conversation_insights"
STEPS = yaml.safe_load((MODULE / "process_date.workflow.yaml").read_text("utf-8"))["main"]["steps"]
ZONES = {
    "us-central1": "America/Chicago",
    "us-east1": "America/New_York",
    "us-west1": "America/Los_Angeles",
    "northamerica-northeast1": "America/Toronto",
    "europe-west1": "Europe/Brussels",
    "europe-west2": "Europe/London",
    "europe-west3": "Europe/Berlin",
    "europe-west4": "Europe/Amsterdam",
    "europe-west6": "Europe/Zurich",
    "asia-northeast1": "Asia/Tokyo",
    "asia-northeast3": "Asia/Seoul",
    "asia-south1": "Asia/Kolkata",
    "asia-southeast1": "Asia/Singapore",
    "asia-southeast2": "Asia/Jakarta",
    "australia-southeast1": "Australia/Sydney",
}
"""A zone of each region that `location` may be."""
RUN, LIST = "googleapis.run.v2.projects.locations.jobs.run", "googleapis.storage.v1.objects.list"


class RaisedError(Exception):
    """What the workflow raises, or a connector."""


class Execution:
    """One execution; `calls` are what it called, jobs by name and date."""

    def __init__(
        self,
        event: dict[str, Any],
        now: float = 0.0,
        zone: str = "Etc/UTC",
        *,
        folders: tuple[str, ...] = (),
        failing: str = "",
        originals: str = "",
    ) -> None:
        self.calls: list[str] = []
        self._folders, self._failing = folders, failing
        environment = {
            "BUCKET": "b", "DBT_JOB": "dbt", "READY_PREFIX": "_ready/", "SIDECAR_JOB": "sidecar",
            "SIDECAR_TASKS": "4", "SOURCE_PREFIX": originals, "TIME_ZONE": zone,
            "GOOGLE_CLOUD_PROJECT_ID": "p",
            "GOOGLE_CLOUD_LOCATION": "l",
        }  # fmt: skip
        self.names: dict[str, Any] = {
            "event": event,
            "int": int,
            "default": lambda value, other: other if value is None else value,
            "map": SimpleNamespace(get=_get),
            "sys": SimpleNamespace(now=lambda: now, get_env=environment.__getitem__),
            "text": SimpleNamespace(
                substring=lambda text, begin, end: text[begin:end],
                replace_all=lambda text, old, new: text.replace(old, new),
                match_regex=lambda text, pattern: re.search(pattern, text) is not None,
            ),
            "time": SimpleNamespace(
                format=lambda at, zone: dt.datetime.fromtimestamp(at, ZoneInfo(zone)).isoformat()
            ),
        }

    def run(self) -> Any:
        """Return what the workflow returns."""
        for result in self.steps():
            if result is not None:
                return result
        return None

    def steps(self) -> Iterator[Any]:
        """Run step by step; yield None after each, and the result at the end."""
        bodies = {name: body for step in STEPS for name, body in step.items()}
        order, name = list(bodies), next(iter(bodies))
        while True:
            body = bodies[name]
            following = self._do(body) or body.get("next")
            if "return" in body:
                yield self._value(body["return"])
                return
            yield None
            name = following or order[order.index(name) + 1]

    def _do(self, body: dict[str, Any]) -> str | None:
        for each in body.get("assign", []):
            self.names |= {key: self._value(value) for key, value in each.items()}
        for case in body.get("switch", []):
            if self._value(case["condition"]):
                if "raise" in case:
                    raise RaisedError(self._value(case["raise"]))
                return str(case["next"])
        if "try" in body:
            try:
                self._do(body["try"])
            except RaisedError:
                self._do(body["except"])
        if "call" in body:
            found = self._call(body["call"], self._value(body["args"]))
            if "result" in body:
                self.names[body["result"]] = found
        return None

    def _call(self, name: str, args: dict[str, Any]) -> Any:
        if name == LIST:
            found = [{"name": each} for each in self._folders if each.startswith(args["prefix"])]
            return {"items": found[: args["maxResults"]]} if found else {}
        if name == "sys.log":
            self.calls.append(f"log {args['json']['event']} {args['json']['batch_date']}")
            return None
        assert name == RUN
        overrides = args.get("body", {}).get("overrides", {})
        words = [word for each in overrides.get("containerOverrides", ()) for word in each["args"]]
        job = args["name"].rpartition("/")[2]
        self.calls.append(" ".join([job, *words]))
        if job == self._failing:
            raise RaisedError(job)
        return None

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._value(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._value(each) for each in value]
        if isinstance(value, str) and value.startswith("${"):
            return eval(value[2:-1], {"__builtins__": {}}, self.names)
        return value


def _get(held: Any, keys: list[str]) -> Any:
    for key in keys:
        held = held.get(key) if isinstance(held, dict) else None
    return held


def marker(date: str) -> dict[str, Any]:
    return {"data": {"message": {"attributes": {"objectId": f"_ready/{date}"}}}}


def test_each_region_that_location_may_be_has_a_zone_here() -> None:
    text = (MODULE / "variables.tf").read_text("utf-8")
    regions = text.partition('variable "location"')[2].partition("], var.location")[0]
    assert set(re.findall(r'"([a-z]+-[a-z]+\d)"', regions)) == set(ZONES)


SECONDS = st.integers(1_704_067_200, 1_924_905_600)
"""From 2024 to 2030."""


@given(SECONDS, st.sampled_from(sorted({*ZONES.values(), "Etc/UTC"})))
@example(1_743_373_800, "Europe/Berlin")  # 2025-03-31 00:30, after a day of 23 hours
@example(1_761_521_400, "Europe/Berlin")  # 2025-10-27 00:30, after one of 25
@example(1_748_818_800, "Asia/Tokyo")  # 2025-06-02 08:00; 08 is no octal number
def test_the_schedule_takes_yesterday_of_its_own_zone(at: int, zone: str) -> None:
    today = dt.datetime.fromtimestamp(at, ZoneInfo(zone)).date()
    yesterday = (today - dt.timedelta(days=1)).isoformat()

    run = Execution({}, at, zone, folders=(f"{yesterday}/a/metadata.json",))

    assert run.run() == yesterday
    assert run.calls == [f"sidecar push gs://b/{yesterday} --wait", "dbt"]


@pytest.mark.parametrize("event", [{}, marker("2025-12-28")])
def test_a_day_without_a_folder_is_said_and_runs_nothing(event: dict[str, Any]) -> None:
    at = dt.datetime(2025, 12, 29, 5, tzinfo=dt.UTC).timestamp()
    run = Execution(event, at, folders=("2025-12-27/a/metadata.json", "2025-12-280/x"))

    assert run.run() == "no folder 2025-12-28"
    assert run.calls == ["log no_folder 2025-12-28"]


def test_where_conversations_are_redacted_day_folders_are_handed_in_apart() -> None:
    apart = ("originals/2025-12-28/a/metadata.json",)
    redacted = ("2025-12-28/a/metadata.json",)
    run = Execution(marker("2025-12-28"), folders=apart, originals="originals/")
    idle = Execution(marker("2025-12-28"), folders=redacted, originals="originals/")

    run.run()
    idle.run()

    assert run.calls == ["sidecar push gs://b/originals/2025-12-28 --wait", "dbt"]
    assert idle.calls == ["log no_folder 2025-12-28"]


def test_after_a_failed_push_the_marts_are_built_and_the_failure_passed_on() -> None:
    run = Execution(marker("2025-12-28"), folders=("2025-12-28/a",), failing="sidecar")

    with pytest.raises(RaisedError, match="push of 2025-12-28 left conversations undone"):
        run.run()
    assert run.calls == ["sidecar push gs://b/2025-12-28 --wait", "dbt"]


def test_a_marker_that_names_no_date_is_refused() -> None:
    with pytest.raises(RaisedError, match="doesn't name a date"):
        Execution(marker("today")).run()


@given(st.lists(st.booleans(), min_size=60, max_size=60))
def test_two_markers_at_once_each_push_and_build_their_own(turns: list[bool]) -> None:
    folders = ("2025-12-27/a", "2025-12-28/a")
    runs = [Execution(marker(folder[:10]), folders=folders) for folder in folders]
    left = [run.steps() for run in runs]
    for turn in turns:
        next(left[turn], None)
    for rest in left:
        list(rest)

    assert [run.calls for run in runs] == [
        [f"sidecar push gs://b/{folder[:10]} --wait", "dbt"] for folder in folders
    ]
