"""The table of methods in README.md, made from `surface`.

`python -m ingest.emulator.coverage_table` writes it into the README beside this file.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ingest.emulator.surface import ALL_METHODS, Coverage

README = Path(__file__).with_name("README.md")
BEGIN = "<!-- methods: made by `python -m ingest.emulator.coverage_table` -->"
END = "<!-- end of methods -->"


def coverage_table() -> str:
    """Return the Markdown table, the fullest methods first."""
    count = Counter(method.coverage for method in ALL_METHODS)
    order = list(Coverage)
    summary = ", ".join(f"{count[coverage]} {coverage.value}" for coverage in order)
    lines = [f"{len(ALL_METHODS)} methods: {summary}.", "", "| method | status | note |"]
    lines.append("|---|---|---|")
    ranked = sorted(ALL_METHODS, key=lambda method: (order.index(method.coverage), method.name))
    lines.extend(f"| {m.name} | {m.coverage.value} | {m.note} |" for m in ranked)
    return "\n".join(lines)


def with_table(readme: str) -> str:
    """Return the README with today's table between its markers."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{coverage_table()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
