"""Writes the table of seeded faults into terraform/README.md: python -m tests.terraform"""

from __future__ import annotations

from .mutation_table import README, with_table
from .mutations import FAULTS
from .workspace import REPOSITORY


def main() -> None:
    """Write the table; the tests prove each row."""
    path = REPOSITORY / README
    path.write_text(with_table(path.read_text(encoding="utf-8"), FAULTS), encoding="utf-8")


main()
