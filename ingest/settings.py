"""Every setting, read once; nothing else in the project reads the environment.

Precedence: command-line flag, then environment (`INGEST_…`), then `.env`, then the default.
Nothing that names a customer's thing has a default, except in the local profile, which applies
when no project is set and points at the stack that `ingest local up` runs.
"""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest.domain.conversation import Region
from ingest.enums import LogFormat, Redaction
from ingest.errors import SettingsError

_PREFIX = "INGEST_"
LOCAL_PROJECT_ID = "local-project"
LOCAL_PROJECT_NUMBER = "123456789012"
_LOOPBACK = "127.0.0.1"
_ENDPOINT, _ADDRESS = r"^https?://[^/\s]+", r"^[^/\s]+:\d+$"
_ONE_REGION = r"([a-z][a-z0-9-]*/)?[a-z]+(-[a-z0-9]+)*"
_REGION, _REGIONS = rf"^({_ONE_REGION})?$", rf"^({_ONE_REGION}(,{_ONE_REGION})*)?$"
_FORMS = {
    _ENDPOINT: "http://host:port or https://host",
    _ADDRESS: "host:port",
    _REGION: "a location or project/location",
    _REGIONS: "locations or project/location, with commas and no spaces",
}
_EMULATOR_VARIABLE = "CONTACTCENTERINSIGHTS_EMULATOR_HOST"
"""How the Insights emulator is told to any program, as those of other services are."""
_INSIGHTS_NAMES = AliasChoices(f"{_PREFIX}INSIGHTS_ENDPOINT", _EMULATOR_VARIABLE)
_UNIVERSE_VARIABLE = "GOOGLE_CLOUD_UNIVERSE_DOMAIN"
_UNIVERSE_NAMES = AliasChoices(f"{_PREFIX}UNIVERSE_DOMAIN", _UNIVERSE_VARIABLE)
GOOGLES_UNIVERSE = "googleapis.com"
_OTHER_NAMES = {"insights_endpoint": _EMULATOR_VARIABLE, "universe_domain": _UNIVERSE_VARIABLE}
LOCAL_STATE_FILE = Path(".local/stack.json")


class Settings(BaseSettings):
    """Effective settings; immutable."""

    model_config = SettingsConfigDict(
        env_prefix="INGEST_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        populate_by_name=True,
    )

    project_id: str = Field(description="Google Cloud project id.")
    bucket: str = Field(
        description="Bucket for source files, Insights transcripts and landing batches."
    )
    location: str = Field(description="Insights and BigQuery location, for example us-central1.")
    regions: str = Field(
        default="",
        pattern=_REGIONS,
        description="Insights' locations, or project/location, with commas, that conversations "
        "are spread over; empty: location alone.",
    )
    region: str = Field(
        default="",
        pattern=_REGION,
        description="The one of them that matchers, scorecards, topics and settings are applied "
        "to; empty: location.",
    )
    raw_dataset: str = Field(default="coach_raw", description="Dataset of the raw tables.")
    marts_dataset: str = Field(default="coach", description="Dataset of dbt's marts.")
    gcs_endpoint: str | None = Field(
        default=None,
        pattern=_ENDPOINT,
        description="GCS: emulator, http://host:port, or private endpoint, https://…",
    )
    bigquery_endpoint: str | None = Field(
        default=None, pattern=_ENDPOINT, description="BigQuery: the same."
    )
    insights_endpoint: str | None = Field(
        default=None,
        pattern=_ADDRESS,
        validation_alias=_INSIGHTS_NAMES,
        description=f"Insights emulator, host:port; {_EMULATOR_VARIABLE} does as well.",
    )
    universe_domain: str = Field(
        default=GOOGLES_UNIVERSE,
        validation_alias=_UNIVERSE_NAMES,
        description=f"Domain of a sovereign cloud's services; {_UNIVERSE_VARIABLE} does as well.",
    )
    seeds_dir: Path = Field(default=Path("seeds"), description="Folder of matchers and words.")
    dbt_project_file: Path = Field(
        default=Path("dbt_project.yml"), description="Where custom fields are declared."
    )
    redaction: Redaction = Field(
        default=Redaction.OFF,
        description="before_insights: originals stay in the bucket's originals/, all else is "
        "redacted; or off.",
    )
    redaction_timeout_sec: float = Field(
        default=30, gt=0, description="Time for the redaction of one conversation."
    )
    retention_originals_days: int | None = Field(
        default=None, ge=1, description="Days that originals are kept; empty: until erased."
    )
    retention_files_days: int | None = Field(
        default=None, ge=1, description="Days that day folders and Insights' transcripts are kept."
    )
    retention_insights_days: int | None = Field(
        default=None, ge=1, le=36500, description="Days that Insights keeps a conversation."
    )
    retention_pages_days: int | None = Field(
        default=None, ge=1, description="Days that the pages of .local/site are kept."
    )
    log_format: LogFormat = Field(
        default=LogFormat.NONE, description="Log of remote effects: none, text or json."
    )
    concurrency: int = Field(
        default=384, ge=1, le=1024, description="Conversations in flight, a region."
    )
    """More than a minute's quota of creates: with fewer, an analysis of 14 s holds up creates that
    the quota would admit (128 used 93 % of it)."""
    upload_threads: int = Field(default=16, ge=1, le=256, description="Parallel GCS requests.")
    rpc_timeout_sec: float = Field(default=30, gt=0, description="Deadline of one remote call.")
    step_budget_sec: float = Field(default=300, gt=0, description="Time for one step's retries.")
    analysis_timeout_sec: float = Field(default=900, gt=0, description="Wait for one analysis.")
    bulk_timeout_sec: float = Field(default=86_400, gt=0, description="Wait for a bulk analysis.")
    quota_creates_per_min: int = Field(
        default=300, ge=1, description="CreateConversation quota, a region."
    )
    quota_analyses_per_min: int = Field(
        default=300, ge=1, description="CreateAnalysis quota, a region."
    )
    quota_requests_per_min: int = Field(
        default=3000, ge=1, description="Quota of all Insights calls, a region."
    )

    @property
    def is_local(self) -> bool:
        """True when the Insights endpoint is an emulator."""
        return self.insights_endpoint is not None

    @property
    def home(self) -> Region:
        """Where Insights' matchers, scorecards, topics and settings are applied and read."""
        return self._region(self.region or self.location)

    @property
    def places(self) -> tuple[Region, ...]:
        """All regions that conversations are spread over; the home is the first of them."""
        named = [self._region(name) for name in self.regions.split(",") if name]
        return tuple(dict.fromkeys((self.home, *named)))

    def at(self, region: Region) -> Settings:
        """Return the settings with that region as Insights' only one."""
        name = f"{region.project_id}/{region.location}"
        return self.model_copy(update={"region": name, "regions": ""})

    def _region(self, name: str) -> Region:
        project, _, location = name.rpartition("/")
        return Region(project or self.project_id, location)


def setting_origins(settings: Settings) -> dict[str, tuple[str, str]]:
    """Return every effective setting as text, and where it comes from.

    Origins are `environment`, `.env`, `local profile` and `default`; flags show only in the
    command that they were given to.
    """
    from dotenv import dotenv_values

    in_file = {name.upper() for name in dotenv_values(".env")}
    origins = {}
    for name, declared in Settings.model_fields.items():
        value = getattr(settings, name)
        variables = {f"{_PREFIX}{name.upper()}"}
        if name in _OTHER_NAMES:
            variables.add(_OTHER_NAMES[name])
        if any(os.environ.get(variable) for variable in variables):
            origin = "environment"
        elif variables & in_file:
            origin = ".env"
        elif value == declared.get_default():
            origin = "default"
        else:
            origin = "local profile"
        origins[name] = ("" if value is None else str(value), origin)
    return origins


def environment() -> dict[str, str]:
    """Return a copy of the process environment, for child processes."""
    return dict(os.environ)


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Return what dbt is run with: our settings and all else of `.env`, which dbt doesn't read.

    The profile's target is `bigquery` where the project is Google's, unless DBT_TARGET says.
    """
    from dotenv import dotenv_values

    in_file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    names = ("project_id", "location", "raw_dataset", "marts_dataset", "bigquery_endpoint")
    ours = {f"{_PREFIX}{name.upper()}": getattr(settings, name) for name in names}
    target = {"DBT_TARGET": "local" if settings.is_local else "bigquery"}
    given = {name: value for name, value in os.environ.items() if value or name not in in_file}
    effective = {name: str(value) for name, value in ours.items() if value is not None}
    return {**target, **in_file, **given, **effective}


def otlp_endpoint() -> str | None:
    """Return the OpenTelemetry collector that spans go to, by its standard variable."""
    return os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None


def load_seeds_dir() -> Path:
    """Return the folder of the seeds, for commands that need no project."""
    _check_dotenv()
    try:
        return _Probe().seeds_dir
    except ValidationError as error:
        raise _settings_error(error) from error


def load_declared_places() -> tuple[Path, Path]:
    """Return the folder of the seeds and dbt's project file, for commands that need no project."""
    _check_dotenv()
    try:
        probe = _Probe()
    except ValidationError as error:
        raise _settings_error(error) from error
    return probe.seeds_dir, probe.dbt_project_file


def cloud_run_shard() -> tuple[int, int]:
    """Return (index, count) of the Cloud Run task that this is, (0, 1) elsewhere."""
    index = os.environ.get("CLOUD_RUN_TASK_INDEX") or "0"
    count = os.environ.get("CLOUD_RUN_TASK_COUNT") or "1"
    try:
        return int(index), int(count)
    except ValueError as error:
        raise SettingsError(
            "CLOUD_RUN_TASK_INDEX and CLOUD_RUN_TASK_COUNT must be whole numbers",
            "unset them outside Cloud Run, or use --shard i/n",
        ) from error


def load_settings(state_file: Path = LOCAL_STATE_FILE, **flags: Any) -> Settings:
    """Return the effective settings; flags that are None count as not given.

    Raises SettingsError for a missing or bad setting, and when no project is set and the local
    stack isn't running.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    _check_dotenv()
    try:
        probe = _Probe()
    except ValidationError as error:
        raise _settings_error(error) from error
    project_id = given.get("project_id") or probe.project_id
    try:
        if project_id is None:
            _leave_loopback_to_no_proxy()
            return _LocalSettings(**{**_local_endpoints(state_file, probe), **given})
        return Settings(**given)
    except ValidationError as error:
        raise _settings_error(error) from error


def _leave_loopback_to_no_proxy() -> None:
    """Take the local stack out of what a proxy of the environment is asked for.

    The official clients ask it for loopback too, where it can't reach this machine.
    """
    for name in ("no_proxy", "NO_PROXY"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        if _LOOPBACK not in hosts:
            os.environ[name] = ",".join([*hosts, _LOOPBACK])


def _check_dotenv() -> None:
    """Raise SettingsError for names of ours that no setting has; others may stand there too."""
    if not Path(".env").is_file():
        return
    from dotenv import dotenv_values

    try:
        names = [name.upper() for name in dotenv_values(".env")]
    except UnicodeDecodeError as error:
        raise SettingsError(".env isn't plain UTF-8", "save it as UTF-8") from error
    known = {f"{_PREFIX}{name.upper()}" for name in Settings.model_fields}
    wrong = sorted({name for name in names if name.startswith(_PREFIX)} - known)
    if wrong:
        faults = "; ".join(f"{name}: no such setting" for name in wrong)
        near = difflib.get_close_matches(wrong[0], known, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise SettingsError(f"unusable settings: {faults}", f"{guess}correct it in .env")


class _Probe(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="INGEST_",
        env_file=".env",
        extra="ignore",
        env_ignore_empty=True,
        populate_by_name=True,
    )

    project_id: str | None = None
    gcs_endpoint: str | None = None
    bigquery_endpoint: str | None = None
    insights_endpoint: str | None = Field(default=None, validation_alias=_INSIGHTS_NAMES)
    seeds_dir: Path = Path("seeds")
    dbt_project_file: Path = Path("dbt_project.yml")


class _LocalSettings(Settings):
    project_id: str = LOCAL_PROJECT_ID
    bucket: str = f"{LOCAL_PROJECT_ID}-cc-dev"
    location: str = "us-central1"


def _local_endpoints(state_file: Path, probe: _Probe) -> dict[str, str]:
    """Return the endpoints that neither environment nor `.env` gives, from the stack's state."""
    names = ("gcs_endpoint", "bigquery_endpoint", "insights_endpoint")
    missing = [name for name in names if getattr(probe, name) is None]
    if not missing:
        return {}
    try:
        endpoints = json.loads(state_file.read_text(encoding="utf-8"))["endpoints"]
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(
            "no project is set and the local stack isn't running",
            "run `ingest local up`, or set INGEST_PROJECT_ID, INGEST_BUCKET and INGEST_LOCATION",
        ) from error
    if absent := [name for name in missing if name not in endpoints]:
        raise SettingsError(
            f"the local stack runs without {', '.join(name.split('_')[0] for name in absent)}",
            "run `ingest local up` for the whole of it, or set "
            + ", ".join(f"INGEST_{name.upper()}" for name in absent),
        )
    return {name: endpoints[name] for name in missing}


def _settings_error(error: ValidationError) -> SettingsError:
    faults = "; ".join(
        f"{_variable(str(fault['loc'][0]))}: {_told(fault)}" for fault in error.errors()
    )
    return SettingsError(f"unusable settings: {faults}", "set it in the environment or in .env")


def _variable(name: str) -> str:
    return f"{_PREFIX}{name.upper().removeprefix(_PREFIX)}"


def _told(fault: ErrorDetails) -> str:
    form = _FORMS.get(fault.get("ctx", {}).get("pattern", ""))
    return fault["msg"].lower() if form is None else f"should be {form}"
