from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.cli._measures import walk_set
from ingest.datagen.dataset_check import check_files
from ingest.datagen.dirty import DirtyMode, parse_dirty
from ingest.datagen.generate import DataSetRequest, DataSetSummary, generate
from ingest.datagen.profile import Profile, load_profile
from ingest.domain.faults import Fault
from ingest.domain.validation import MAX_FILE_BYTES
from ingest.errors import InputError

SEEDS = Path(__file__).parents[3] / "seeds"
EVERY_FAULT = ",".join(f"{mode}=8%" for mode in DirtyMode if mode is not DirtyMode.HUGE)


def make(out: Path, count: int, dirty: str = "", first: int = 0, seed: int = 3) -> DataSetSummary:
    request = DataSetRequest(count, seed, dt.date(2026, 1, 5), 2, out, first)
    return generate(request, load_profile(), SEEDS, parse_dirty(dirty))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def faults_of(folder: Path) -> list[Fault]:
    async def collect() -> list[Fault]:
        faults: list[Fault] = []
        async for found in walk_set(folder):
            faults.extend([found] if isinstance(found, Fault) else check_files(found))
        return faults

    return asyncio.run(collect())


def test_two_runs_write_equal_bytes(tmp_path: Path) -> None:
    make(tmp_path / "a", 60, EVERY_FAULT)
    make(tmp_path / "b", 60, EVERY_FAULT)

    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


def test_a_set_made_in_parts_equals_the_set_made_at_once(tmp_path: Path) -> None:
    make(tmp_path / "whole", 60, EVERY_FAULT)
    for first in (40, 0, 20):
        make(tmp_path / "parts", 20, EVERY_FAULT, first)

    assert bytes_of(tmp_path / "parts") == bytes_of(tmp_path / "whole")


def test_running_again_without_faults_leaves_nothing_of_the_faults(tmp_path: Path) -> None:
    make(tmp_path / "twice", 40, "missing_file=50%")
    make(tmp_path / "twice", 40)
    make(tmp_path / "once", 40)

    assert bytes_of(tmp_path / "twice") == bytes_of(tmp_path / "once")


def test_a_clean_set_has_no_fault_and_no_warning(tmp_path: Path) -> None:
    make(tmp_path, 150)

    assert faults_of(tmp_path) == []


def test_exactly_the_planted_faults_are_reported(tmp_path: Path) -> None:
    summary = make(tmp_path, 250, EVERY_FAULT)
    planted = Counter(
        (
            f"{path.parent.parent.name}/{path.parent.name}/{fault['file']}",
            fault["rule"],
            fault["pointer"],
        )
        for path in tmp_path.glob("2026-*/*/expected.json")
        for fault in orjson.loads(path.read_bytes())["pipeline"].get("faults", [])
    )

    reported = Counter((fault.file, fault.rule, fault.pointer) for fault in faults_of(tmp_path))

    assert reported == planted + Counter([("late", "not_read", "")])
    assert set(summary.dirty) == {mode.value for mode in DirtyMode} - {"huge"}


def test_a_huge_file_is_over_the_limit_or_a_very_long_talk(tmp_path: Path) -> None:
    make(tmp_path, 10, "huge=100%")

    outcomes: Counter[str] = Counter()
    for path in tmp_path.glob("2026-*/*/expected.json"):
        outcome = orjson.loads(path.read_bytes())["pipeline"]["outcome"]
        outcomes[outcome] += 1
        size = (path.parent / "transcription.json").stat().st_size
        assert (size > MAX_FILE_BYTES) == (outcome == "rejected")
    assert {fault.rule for fault in faults_of(tmp_path)} == {"file_too_large"}
    assert outcomes.keys() == {"analysed", "rejected"}


def test_a_second_delivery_has_the_file_that_was_late_or_changed(tmp_path: Path) -> None:
    make(tmp_path, 80, "late_metadata=50%,edited=50%")

    for path in tmp_path.glob("2026-*/*/expected.json"):
        then = orjson.loads(path.read_bytes())["pipeline"]["then"]
        late = tmp_path / then["delivery"] / path.parent.relative_to(tmp_path)
        changed = then.get("changed", "metadata")
        assert [each.name for each in late.iterdir()] == [f"{changed}.json"]
        before = path.parent / f"{changed}.json"
        if then["version_count"] == 2:
            assert before.read_bytes() != (late / f"{changed}.json").read_bytes()
        else:
            assert not before.exists()


def test_odd_characters_leave_the_spans_of_the_truth_in_place(tmp_path: Path) -> None:
    make(tmp_path / "odd", 60, "unicode=100%")
    make(tmp_path / "plain", 60)

    texts = 0
    for path in (tmp_path / "odd").glob("2026-*/*/expected.json"):
        plain = tmp_path / "plain" / path.parent.relative_to(tmp_path / "odd")
        truth, other = (
            orjson.loads((p / "expected.json").read_bytes()) for p in (path.parent, plain)
        )
        assert truth["phrase_matches"] == other["phrase_matches"]
        assert truth["pii_spans"] == other["pii_spans"]
        talk, clean = (
            orjson.loads((folder / "transcription.json").read_bytes())["turns"]
            for folder in (path.parent, plain)
        )
        for turn, same in zip(talk, clean, strict=True):
            assert turn["text"].replace("\u2019", "'").startswith(same["text"])
            texts += turn["text"] != same["text"]
    assert texts > 100


def test_the_summary_says_what_was_asked_and_what_came_out(tmp_path: Path) -> None:
    summary = make(tmp_path, 1200)

    shares = {share.name: share for share in summary.shares}
    assert sum(
        share.achieved for share in summary.shares if share.name in load_profile().scenarios
    ) == pytest.approx(1)
    for name in ("payment_plan_agreed", "chat", "ivr", "disclosure_missed", "noisy_phrase"):
        assert shares[name].achieved == pytest.approx(shares[name].asked, abs=0.04), name
    assert summary.dates == (dt.date(2026, 1, 5), dt.date(2026, 1, 6))


def test_a_profile_with_one_scenario_makes_only_that(tmp_path: Path) -> None:
    profile = replace_scenarios({"wrong_party": 1.0})
    request = DataSetRequest(30, 1, dt.date(2026, 1, 5), 1, tmp_path)

    generate(request, profile, SEEDS, {})

    scenarios = {
        orjson.loads(path.read_bytes())["scenario"] for path in tmp_path.rglob("expected.json")
    }
    assert scenarios == {"wrong_party"}


def replace_scenarios(scenarios: dict[str, float]) -> Profile:
    return load_profile().model_copy(update={"scenarios": scenarios, "chat_share": 0.0})


def test_utterances_vary(tmp_path: Path) -> None:
    make(tmp_path, 1000)
    all_texts: set[str] = set()
    long_customer: Counter[str] = Counter()
    for path in tmp_path.rglob("transcription.json"):
        for turn in orjson.loads(path.read_bytes())["turns"]:
            all_texts.add(turn["text"])
            if turn["speaker"] == "CUSTOMER" and len(turn["text"].split()) >= 6:
                long_customer[turn["text"]] += 1

    repeated = sum(count for count in long_customer.values() if count > 1)

    assert len(all_texts) > 13_000
    assert repeated / long_customer.total() < 0.03


@given(
    st.dictionaries(
        st.sampled_from(DirtyMode), st.integers(0, 8).map(lambda n: n / 100), min_size=1
    )
)
def test_fault_shares_read_back_as_written(shares: dict[DirtyMode, float]) -> None:
    as_percent = ", ".join(f"{mode}={round(share * 100)}%" for mode, share in shares.items())
    as_number = ",".join(f"{mode} = {share}" for mode, share in shares.items())

    assert parse_dirty(as_percent) == pytest.approx(shares)
    assert parse_dirty(as_number) == shares


@pytest.mark.parametrize(
    "text", ["edited", "edited=x", "eddited=1%", "edited=-1%", "edited=60%,huge=60%", "edited=2"]
)
def test_a_bad_fault_list_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_dirty(text)
