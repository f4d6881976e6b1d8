"""Conversation folders on disk: what is there already, what may be replaced, and writing them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from ingest.domain.conversation import is_redacted
from ingest.domain.faults import Fault
from ingest.errors import InputError
from ingest.formats.conversion import Built

_EXPECTED = "expected.json"


def dates_by_id(out: Path) -> dict[str, set[str]]:
    """Return under which dates the output has each conversation before the run."""
    dates: dict[str, set[str]] = {}
    for folder in out.glob("????-??-??/*") if out.is_dir() else ():
        dates.setdefault(folder.name, set()).add(folder.parent.name)
    return dates


def check_folder(
    folder: Path,
    others: Iterable[Path],
    built: Built,
    source: Mapping[str, Any],
    *,
    is_replacing: bool,
) -> None:
    """Raise InputError when the folder holds another call, or when it or one of the `others`, the
    call's under other dates, holds the call redacted and this isn't."""
    for each in (folder, *others):
        if is_redacted(_held(each) or {}) and source.get("redacted") is not True:
            raise InputError(
                f"{each} is redacted and this isn't",
                "convert the redacted file, or another --out",
            )
    if _held(folder) is None:
        return
    before = _source(folder)
    if (folder / "metadata.json").read_bytes() == built.contents["metadata.json"]:
        return
    ours = {file["sha256"] for file in source["files"]}
    theirs = {file.get("sha256") for file in before.get("files", [{}]) if isinstance(file, dict)}
    if not theirs <= ours and not is_replacing:
        raise InputError(
            f"{folder} was made of other files",
            "parts of one call: convert them together; a newer export: --replace; "
            "another call: `source_id: {file: path}` in a mapping",
        )


def _source(folder: Path) -> dict[str, Any]:
    source = (_held(folder) or {}).get("source")
    return source if isinstance(source, dict) else {}


def _held(folder: Path) -> dict[str, Any] | None:
    """Return the metadata that the folder has; None when there's none, empty if unreadable."""
    try:
        held = orjson.loads((folder / "metadata.json").read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError):
        return {}
    return held if isinstance(held, dict) else {}


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write the files, or raise InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _EXPECTED not in contents and (folder / _EXPECTED).exists():
            _forget_expected(folder, contents)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise InputError(
            f"can't write {folder}: {error.strerror}", "choose another --out"
        ) from error


def _forget_expected(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Remove what was expected of another call; where the same is written again it stays."""
    if (folder / "metadata.json").read_bytes() != contents["metadata.json"]:
        (folder / _EXPECTED).unlink()


def refusal_of(faults: Sequence[Fault]) -> InputError:
    """Return one error for all that is wrong with the two files."""
    lacking = sorted(
        fault.pointer[1:]
        for fault in faults
        if fault.rule == "missing_field" and fault.pointer.count("/") == 1
    )
    if len(lacking) == len(faults):
        lines = ", ".join(f"{name}: …" for name in lacking)
        return InputError(
            f"neither the transcript nor the defaults give a usable {', '.join(lacking)}",
            f"add to --defaults, one a line: {lines}; or give columns of these names in --context; "
            f"or map it: `conversation: {{{lacking[0]}: PATH}}`",
        )
    places = sorted({fault.pointer[1:].replace("/", ".") for fault in faults})
    first = next(fault for fault in faults if fault.rule != "missing_field")
    file = first.file.rpartition("/")[2]
    return InputError(
        f"no usable {', '.join(places)}: {file}#{first.pointer}: {first.message}", first.hint
    )
