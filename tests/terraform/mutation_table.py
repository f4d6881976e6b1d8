"""The table of seeded faults in terraform/README.md."""

from __future__ import annotations

from collections.abc import Sequence

from .mutations import Fault

README = "terraform/README.md"
START, END = "<!-- faults: start -->", "<!-- faults: end -->"
_CHECKS = {
    "validate": "`terraform validate` against the provider's schema",
    "test": "`terraform test`",
    "plan": "rules over the plan",
    "production": "rules over the plan of production",
    "apis": "rules over the plans of bootstrap and production",
    "deployer": "rules over the plan of bootstrap",
    "arguments": "the real command lines and log line",
}


def table(faults: Sequence[Fault]) -> str:
    """Return the table between its marks."""
    rows = [
        f"| {fault.name} | `{fault.file.rsplit('/', 1)[-1]}` | {_caught_by(fault)} |"
        for fault in faults
    ]
    head = "| fault | seeded in | caught by |\n| --- | --- | --- |"
    return "\n".join([START, head, *rows, END])


def _caught_by(fault: Fault) -> str:
    test = f", {fault.test_file}" if fault.test_file else ""
    return f"{_CHECKS[fault.check]}{test}"


def with_table(readme: str, faults: Sequence[Fault]) -> str:
    """Return the README with the table written anew."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return before + table(faults) + after
