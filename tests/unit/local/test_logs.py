from __future__ import annotations

from pathlib import Path

from ingest.local.logs import follow, last_lines


def test_the_last_lines_of_a_log_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "gcs.log"
    log.write_text("one\ntwo\nthree\n")

    assert [last_lines(log, count) for count in (2, 9, 0)] == [
        ["two", "three"],
        ["one", "two", "three"],
        [],
    ]


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "gcs.log", 5) == []


def test_following_yields_new_whole_lines_of_every_log_in_turn(tmp_path: Path) -> None:
    gcs, ci = tmp_path / "gcs.log", tmp_path / "ci.log"
    gcs.write_text("old\n")
    script = iter(
        [
            lambda: gcs.write_text("old\nnew\nhal"),
            lambda: (gcs.write_text("old\nnew\nhalf\n"), ci.write_text("first\n")),
            lambda: gcs.write_text("begun anew\n"),
        ]
    )
    lines = follow([gcs, ci], pause=lambda _: next(script)())

    assert [next(lines) for _ in range(4)] == [
        (gcs, "new"),
        (gcs, "half"),
        (ci, "first"),
        (gcs, "begun anew"),
    ]
