"""What follows when the services answer: the one place where `ingest local up` fills the stack."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import SettingsError
from ingest.local.layout import Layout, Service
from ingest.local.provisioning import provision
from ingest.local.state import StackState
from ingest.settings import LOCAL_PROJECT_ID, Settings, environment, load_settings

PROFILES = Path("profiles.yml")
PROFILES_EXAMPLE = Path("profiles.example.yml")


@dataclass(frozen=True)
class Step:
    """One step: its name, the services it needs, and what it does; the result is shown."""

    name: str
    needs: frozenset[Service]
    run: Callable[[Settings], object]


STEPS = (Step("bucket and tables", frozenset({Service.GCS, Service.BIGQUERY}), provision),)


def run_first_steps(layout: Layout, state: StackState, say: Callable[[str], None]) -> None:
    """Run every step whose services run; each is safe to repeat."""
    settings = local_settings(layout, state)
    services = {Service(name) for name in state.services}
    for step in _applicable(services):
        say(f"{step.name}: {step.run(settings)}")
    if Service.BIGQUERY in services and copy_profiles(Path.cwd()):
        say(f"{PROFILES} written from {PROFILES_EXAMPLE}")
    if environment().get("INGEST_PROJECT_ID", LOCAL_PROJECT_ID) != LOCAL_PROJECT_ID:
        say("INGEST_PROJECT_ID is set: other commands use that project and not this stack")


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


def copy_profiles(folder: Path) -> bool:
    """Write profiles.yml from its example when it is missing; say whether it was written."""
    target, example = folder / PROFILES, folder / PROFILES_EXAMPLE
    if target.exists() or not example.exists():
        return False
    shutil.copyfile(example, target)
    return True


def _applicable(services: Collection[Service]) -> list[Step]:
    return [step for step in STEPS if step.needs <= set(services)]
