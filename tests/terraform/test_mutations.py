"""Every seeded fault is caught, and the table in the README says by what."""

from __future__ import annotations

import pytest

from .mutation_table import README, table
from .mutations import FAULTS, Fault, caught_by
from .workspace import REPOSITORY, Workspace

pytestmark = pytest.mark.terraform


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_seeded_fault_is_caught_by_its_check(workspace: Workspace, fault: Fault) -> None:
    assert caught_by(workspace, fault) == fault.check


def test_unseeded_configuration_passes_every_check(workspace: Workspace) -> None:
    harmless = {
        check: Fault(
            "nothing", f"{FAULTS[0].file}", "force_destroy", "force_destroy", check, "naming"
        )
        for check in {fault.check for fault in FAULTS}
    }

    assert {
        check: caught_by(workspace, fault) for check, fault in harmless.items()
    } == dict.fromkeys(harmless)


def test_table_in_the_readme_is_the_one_made_from_the_faults() -> None:
    readme = (REPOSITORY / README).read_text(encoding="utf-8")

    assert len(FAULTS) >= 15
    assert table(FAULTS) in readme
