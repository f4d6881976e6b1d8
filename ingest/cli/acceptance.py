"""`ingest acceptance`: a small run of everything on a project, compared with the emulator."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._context import new_run_id, say, say_target
from ingest.cli._options import AsJson
from ingest.cli._output import print_json
from ingest.domain.conversation import CI_TRANSCRIPTS_PREFIX
from ingest.domain.costs import USD_PER_UNIT, billing_units
from ingest.domain.replies import ANALYSES, Reply, compare, read_replies
from ingest.errors import ExitCode, InputError, SettingsError
from ingest.flows.acceptance import AcceptanceReport, AcceptanceStep, StepVerdict, page
from ingest.settings import Settings, environment, load_settings

_CONVERSATIONS = 10
_DATE = "2001-01-01"
"""A day before every contact centre's, so that no folder of others is met."""
_CONTRACT = Path("tests/contract/insights")
_CASES = tuple(
    f"test_insights_{name}.py"
    for name in (
        "analyses",
        "conversations",
        "listing",
        "operations",
        "phrase_matchers",
        "transcripts",
    )
)
"""Cases that touch nothing but what they have made; `not settings` leaves the location's alone."""
_PATIENCE_SEC = 60.0
_CLEAN_SEC = 300.0


def acceptance(
    budget: Annotated[
        float, typer.Option(min=0.01, help="US$ that its analyses may cost at most.")
    ] = 1.00,
    minutes: Annotated[
        int, typer.Option(min=1, max=60, help="After so long it ends, and cleans up.")
    ] = 15,
    marts: Annotated[
        bool, typer.Option("--marts/--no-marts", help="Build the marts too, and verify them.")
    ] = True,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report; .local/acceptance/… without one.")
    ] = None,
    clean: Annotated[
        Path | None,
        typer.Option(help="Only erase what the run of this folder left: it was killed."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take 10 invented conversations through everything; compare Insights with the emulator.

    Runs doctor, push, push again (which must do nothing), dbt and verify, and then the emulator's
    contract cases at the service and at the emulator, over gRPC. report.md has every difference by
    message and field; replies are beside it, scrubbed of words, ids and names, so that the folder's
    report and replies can be sent to others. What it made is erased in the end, also after a
    failure or Ctrl-C. Run it from a clone with the extra `dev`.

    Example: ingest acceptance --budget 1.00
    """
    raise typer.Exit(int(execute(budget, minutes, out, clean, marts=marts, as_json=as_json)))


def execute(
    budget: float,
    minutes: int,
    out: Path | None,
    clean: Path | None,
    *,
    marts: bool,
    as_json: bool,
) -> ExitCode:
    """Run, write and print the report, return the exit code."""
    settings = load_settings()
    say_target(settings)
    if not _CONTRACT.is_dir():
        raise SettingsError(
            f"{_CONTRACT} isn't here", "run it from a clone, installed with '.[dev]'"
        )
    run = _Run(settings, clean or out or Path(".local/acceptance") / new_run_id(), budget)
    with run.interruptible():
        run.end_at = time.monotonic() + minutes * 60
        try:
            if clean is None:
                run.all_steps(marts=marts)
        finally:
            run.clean(marts=marts and any(step.name == "dbt build" for step in run.steps))
    report = run.report()
    (run.folder / "report.md").write_text(page(report), encoding="utf-8")
    if as_json:
        print_json(report)
    else:
        _print(report, run.folder)
    return report.exit_code


@dataclass
class _Run:
    """The steps of one run, each a process of its own, and what they left."""

    settings: Settings
    folder: Path
    budget: float
    end_at: float = 0.0
    is_stopped: bool = False
    is_cleaning: bool = False
    steps: list[AcceptanceStep] = field(default_factory=list)
    push_usd: float = 0.0
    started_at: float = field(default_factory=time.monotonic)
    _child: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        (self.folder / "replies").mkdir(exist_ok=True)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside the block a signal ends the step that runs, and what follows is the clean-up."""

        def stop(number: int, frame: object) -> None:
            if self.is_cleaning:
                say("still erasing what was made")
                return
            self.is_stopped = True
            say("stopping: what was made is erased now")
            if self._child is not None:
                self._child.send_signal(signal.SIGINT)

        before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def all_steps(self, *, marts: bool) -> None:
        """Run step by step; those of the pipeline end with the first that fails."""
        source = self.folder / "conversations"
        number = str(int(time.time()))
        if not self._ingest("doctor", "doctor"):
            return
        generated = ("--count", str(_CONVERSATIONS), "--seed", number, "--date", _DATE)
        made = self._ingest("generate", "data", "generate", "--out", str(source), *generated)
        if not made:
            return
        self.push_usd = _units(source) * USD_PER_UNIT
        if self.push_usd > self.budget:
            raise InputError(
                f"{_CONVERSATIONS} conversations cost US${self.push_usd:.2f}", "raise --budget"
            )
        pushed = self._ingest("push", "push", str(source))
        pushed = pushed and self._ingest("push again", "push", str(source))
        if pushed and marts and self._dbt("dbt build"):
            self._ingest("verify", "verify", str(source), "--date", _DATE)
        self._contract("service", self._service_environment())
        seeds = str(self.settings.seeds_dir)
        self._contract("emulator", {"INSIGHTS_CONTRACT_SEEDS": seeds})

    def clean(self, *, marts: bool) -> None:
        """Erase what was made, whatever came before; `--clean` does the same later."""
        was_stopped, self.is_stopped, self.is_cleaning = self.is_stopped, False, True
        self.end_at = time.monotonic() + _CLEAN_SEC
        for number, id_ in enumerate(sorted(_ids(self.folder / "conversations")), 1):
            self._ingest(f"erase {number}", "forget", id_, "--yes")
        if marts:
            self._dbt("dbt build after erasing")
        self.is_stopped = was_stopped

    def report(self) -> AcceptanceReport:
        """Return what was found."""
        service, emulator = self._replies("service"), self._replies("emulator")
        outcomes, expected = self._outcomes("service"), self._outcomes("emulator")
        failed = tuple(
            sorted(
                case
                for case, outcome in outcomes.items()
                if outcome == "failed" and expected.get(case) == "passed"
            )
        )
        # A case that the budget has cut short says nothing.
        whole = {case for case in outcomes if "skipped" not in (outcomes[case], expected.get(case))}
        differences = compare(
            [reply for reply in service if reply.case in whole],
            [reply for reply in emulator if reply.case in whole],
        )
        analyses = sum(ANALYSES.get(each.method, 0) for each in service if each.code == "OK")
        is_good = all(step.verdict is StepVerdict.OK for step in self.steps)
        is_good = is_good and not failed and not differences
        code = ExitCode.OK if is_good else ExitCode.SOME_FAILED
        return AcceptanceReport(
            ExitCode.INTERRUPTED if self.is_stopped else code,
            _versions(),
            self.budget,
            round(self.push_usd + analyses * USD_PER_UNIT, 2),
            round(time.monotonic() - self.started_at, 1),
            tuple(self.steps),
            dict(sorted(Counter(outcomes.values()).items())),
            failed,
            len(service),
            differences,
        )

    def _service_environment(self) -> dict[str, str]:
        left = self.budget - self.push_usd
        found = {
            "PROJECT": self.settings.project_id,
            "LOCATION": self.settings.location,
            "BUCKET": self.settings.bucket,
            "PREFIX": f"{CI_TRANSCRIPTS_PREFIX}acceptance/",
            "ANALYSES": str(int(left / USD_PER_UNIT + 1e-9)),
        }
        if self.settings.insights_endpoint is not None:
            found["ENDPOINT"] = self.settings.insights_endpoint
            found["GCS_ENDPOINT"] = str(self.settings.gcs_endpoint)
        return {f"INSIGHTS_CONTRACT_{name}": value for name, value in found.items()}

    def _contract(self, where: str, contract: Mapping[str, str]) -> bool:
        """Run the cases; that some fail is part of the report, not of the step."""
        replies = (self.folder / "replies" / f"{where}.jsonl").resolve()
        words = [sys.executable, "-m", "pytest", *(str(_CONTRACT / name) for name in _CASES)]
        words += ["-k", "grpc and not settings", "-q", "-p", "no:cacheprovider"]
        words += [f"--junitxml={self._outcome_file(where)}"]
        given = {**contract, "INSIGHTS_CONTRACT_RECORD": str(replies)}
        return self._step(f"contract at the {where}", words, given, accepted=(0, 1))

    def _dbt(self, name: str) -> bool:
        dbt = shutil.which("dbt", path=str(Path(sys.executable).parent)) or shutil.which("dbt")
        if dbt is None:
            raise SettingsError("dbt isn't installed", "pip install '.[dev]', or --no-marts")
        target = () if self.settings.is_local else ("--target", "bigquery")
        return self._step(name, [dbt, "build", "--exclude", "resource_type:unit_test", *target])

    def _ingest(self, name: str, *arguments: str) -> bool:
        program = "from ingest.cli import main; main()"
        return self._step(name, [sys.executable, "-c", program, *arguments])

    def _step(
        self,
        name: str,
        words: Sequence[str],
        more: Mapping[str, str] | None = None,
        accepted: tuple[int, ...] = (0,),
    ) -> bool:
        """Run a process until it ends, is stopped, or the time is up; note how it ended."""
        begin = time.monotonic()
        log = self.folder / "logs" / f"{name.replace(' ', '_')}.log"
        if self.is_stopped or begin >= self.end_at:
            why = "stopped" if self.is_stopped else "the time is up"
            self.steps.append(AcceptanceStep(name, StepVerdict.LEFT_OUT, 0.0, why))
            return False
        say(f"{name} …")
        given = {k: v for k, v in environment().items() if not k.startswith("INSIGHTS_CONTRACT_")}
        with log.open("wb") as file:
            # A session of its own: a terminal's Ctrl-C reaches it by way of `interruptible`.
            self._child = subprocess.Popen(
                words,
                env={**given, **(more or {})},
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            code = _ended(self._child, self.end_at - begin)
            self._child = None
        is_good = code in accepted
        detail = "" if is_good else f"exit code {code}: logs/{log.name}"
        verdict = StepVerdict.OK if is_good else StepVerdict.FAILED
        self.steps.append(AcceptanceStep(name, verdict, round(time.monotonic() - begin, 1), detail))
        return is_good

    def _outcome_file(self, where: str) -> Path:
        return (self.folder / "logs" / f"contract_{where}.xml").resolve()

    def _replies(self, where: str) -> list[Reply]:
        path = self.folder / "replies" / f"{where}.jsonl"
        return read_replies(path.read_text(encoding="utf-8").splitlines()) if path.exists() else []

    def _outcomes(self, where: str) -> dict[str, str]:
        """Return how each case ended: passed, failed or skipped."""
        from xml.etree import ElementTree as Xml

        path = self._outcome_file(where)
        if not path.exists():
            return {}
        found = {}
        for case in Xml.parse(path).iter("testcase"):
            kinds = {child.tag for child in case}
            failed = "failed" if kinds & {"failure", "error"} else "passed"
            found[str(case.get("name"))] = "skipped" if "skipped" in kinds else failed
        return found


def _ended(child: subprocess.Popen[bytes], seconds: float) -> int:
    """Return the exit code; after the time it is interrupted, and killed if that isn't enough."""
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGINT)
    try:
        return child.wait(_PATIENCE_SEC)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _ids(source: Path) -> set[str]:
    return {path.parent.name for path in source.glob("*/*/metadata.json")}


def _units(source: Path) -> int:
    """Return the billing units of the conversations."""
    talks = (json.loads(path.read_bytes()) for path in source.glob("*/*/transcription.json"))
    return sum(billing_units(len(turn["text"]) for turn in talk["turns"]) for talk in talks)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    packages = ("conversation-coach", "google-cloud-contact-center-insights")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _print(report: AcceptanceReport, folder: Path) -> None:
    for step in report.steps:
        typer.echo(f"{step.verdict:<9} {step.name} {step.seconds:.0f} s {step.detail}".rstrip())
    typer.echo(
        f"{len(report.differences)} differences in {report.replies} replies, "
        f"{len(report.failed_cases)} cases fail at the service alone, "
        f"at most US${report.usd:.2f}: {folder / 'report.md'}"
    )
