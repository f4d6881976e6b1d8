"""What follows when the services answer: the one place where `ingest local up` fills the stack."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import SettingsError
from ingest.local import provisioning
from ingest.local.layout import Layout, Service
from ingest.local.state import StackState
from ingest.settings import LOCAL_PROJECT_ID, Settings, load_settings

PROFILES = Path("profiles.yml")
PROFILES_EXAMPLE = Path("profiles.example.yml")


@dataclass(frozen=True)
class Step:
    """One step: its name, the services it needs, and what it does; the result is shown."""

    name: str
    needs: frozenset[Service]
    run: Callable[[Settings], object]


def apply_phrase_matchers(settings: Settings) -> str:
    """Make the CI emulator hold the phrase matchers of the seeds; Terraform's part in the cloud."""
    if not (settings.seeds_dir / "phrase_matchers.csv").exists():
        return f"none defined in {settings.seeds_dir}"
    from ingest.cli._context import run
    from ingest.cli.matchers import apply_to

    outcomes = run(apply_to(settings))
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    counts = Counter(outcome.change.kind.value for outcome in outcomes)
    return ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))


STEPS = (
    Step("bucket and tables", frozenset({Service.GCS, Service.BIGQUERY}), provisioning.provision),
    Step("phrase matchers", frozenset(Service), apply_phrase_matchers),
)


def import_clients() -> None:
    """Begin to import Google's clients in a thread: that takes as long as the services' start."""
    threading.Thread(target=provisioning.import_clients, daemon=True).start()


def run_first_steps(layout: Layout, state: StackState, say: Callable[[str], None]) -> Settings:
    """Run every step whose services run, each safe to repeat; return settings for this stack."""
    settings = local_settings(layout, state)
    services = {Service(name) for name in state.services}
    for step in STEPS:
        if step.needs <= services:
            say(f"{step.name}: {step.run(settings)}")
    return settings


def local_settings(layout: Layout, state: StackState) -> Settings:
    """Return settings that reach this stack, whatever project the environment names."""
    with contextlib.suppress(SettingsError):
        found = load_settings(layout.state_file, **state.endpoints)
        if found.project_id == LOCAL_PROJECT_ID:
            return found
    return load_settings(
        layout.state_file,
        project_id=LOCAL_PROJECT_ID,
        bucket=f"{LOCAL_PROJECT_ID}-cc-dev",
        location="us-central1",
        **state.endpoints,
    )


def copy_profiles(folder: Path, say: Callable[[str], None]) -> None:
    """Write dbt's profiles.yml from its example when it is missing; never over another."""
    target, example = folder / PROFILES, folder / PROFILES_EXAMPLE
    if example.exists() and not target.exists():
        shutil.copyfile(example, target)
        say(f"{PROFILES} written from {PROFILES_EXAMPLE}")
