"""Upload: thousands of small files into the bucket, by the sidecar and by what else does that."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.local.layout import Service
from ingest.settings import Settings
from tests.benchmarks.harness import (
    CLOCK_TICK_SEC,
    Bench,
    Row,
    Scenario,
    Usage,
    finished,
    grown,
    growth_row,
    paired,
    run_command,
)
from tests.benchmarks.stacks import (
    INGEST,
    SERVICE_NAMES,
    BenchStack,
    environment_of,
    running_stack,
)
from tests.benchmarks.upload_servers import (
    create_bucket,
    differing,
    held_objects,
    source_sizes,
    tls_server,
)

PEER_SCRIPTS = Path(__file__).parent / "peers"
OURS = "ingest push --until upload"
CEILING = "bare HTTP"
CONNECTIONS = (8, 16, 32)
"""The ceiling is the fastest of these loads: a server may answer some better than more."""
MOST_GROWTH_ROUNDS = 3
"""Of the smaller sizes; the largest has been measured against the others."""
FILES_EACH = 2
GROWTH_PARTS = (4, 2, 1)
NEAR_CEILING = 1.2
"""As fast as the emulator answers: at most a fifth longer than a load that does nothing else."""

Runner = Callable[[int], Usage]


@dataclass(frozen=True)
class Phases:
    """Seconds of one push by the clock of the bucket's objects."""

    before: float
    """Until the first object: start, validation of all files, reading of what is there."""
    writing: float
    """From the first object to the last."""
    after: float
    """From the last object on: landing of the last batch, report."""

    services_cpu_sec: Mapping[Service, float]
    """CPU of each service of the stack from start to end."""


def median_phases(phases: Sequence[Phases]) -> Phases:
    """Return the median of each phase, and of each service's CPU."""
    return Phases(
        statistics.median(each.before for each in phases),
        statistics.median(each.writing for each in phases),
        statistics.median(each.after for each in phases),
        {
            service: statistics.median(each.services_cpu_sec[service] for each in phases)
            for service in phases[0].services_cpu_sec
        },
    )


def run(bench: Bench) -> Iterator[Row]:
    """Yield the rows."""
    count = bench.size(quick=20, default=2000, full=5000)
    folder = bench.folder / "upload"
    sources = {count // part: folder / f"source-{part}" for part in GROWTH_PARTS}
    for size, source in sources.items():
        generate(source, size)
    with running_stack(folder / "stack") as stack, tls_server(folder) as tls_port:
        upload = _Upload(bench, stack, sources[count], tls_port)
        medians = paired(upload.variants(), bench.rounds, bench.say)
        yield from comparisons(count, medians, median_phases(upload.phases), os.cpu_count() or 1)
        yield upload.second_push()
        grown_ones = grown(
            lambda size, number: upload.ours(sources[size], f"grow_{size}_{number}"),
            [size for size in sources if size != count],
            min(bench.rounds, MOST_GROWTH_ROUNDS),
            bench.say,
        )
        sizes = {**grown_ones, count: medians[OURS]}
    yield growth_row("time of the push", {n: u.wall_sec for n, u in sizes.items()}, "s")
    yield growth_row("CPU of the push", {n: u.cpu_sec for n, u in sizes.items()}, "s")


def generate(folder: Path, count: int) -> None:
    """Make a source of `count` conversations: two files each, without the truth beside them."""
    run_command([INGEST, "data", "generate", "--count", str(count), "--out", str(folder)])
    for path in folder.glob("*/*/expected.json"):
        path.unlink()


def comparisons(
    count: int, medians: Mapping[str, Usage], phases: Phases, cores: int
) -> Iterator[Row]:
    """Yield the rows of ours against each other program, the ceiling, and what lies beyond it."""
    what = f"{count:,} conversations, {count * FILES_EACH:,} objects"
    ours = medians[OURS]
    peers = {name: u for name, u in medians.items() if name not in (OURS, CEILING)}
    fastest = min(peers, key=lambda name: peers[name].wall_sec)
    ceiling = medians[CEILING]
    share = ours.wall_sec / ceiling.wall_sec
    is_near = share <= NEAR_CEILING
    for name, theirs in peers.items():
        ratio = theirs.wall_sec / ours.wall_sec
        is_judged = name == fastest
        yield Row(
            what,
            f"{ours.wall_sec:.2f} s",
            f"{name}: {theirs.wall_sec:.2f} s",
            f"{ratio:.2f}x",
            "≥ 3x, or the ceiling" if is_judged else "",
            ratio >= 3 or is_near if is_judged else None,
        )
    bare = f"{CEILING}: {ceiling.wall_sec:.2f} s, {ceiling.cpu_sec:.2f} s of the client's CPU"
    yield Row(
        f"{what}: the emulator's ceiling",
        f"{ours.wall_sec:.2f} s",
        bare,
        f"{share:.2f} of it",
        f"≤ {NEAR_CEILING}",
        is_near,
    )
    yield Row(
        f"{what}: the ceiling against the fastest of the others, the most to be had",
        bare,
        f"{fastest}: {peers[fastest].wall_sec:.2f} s",
        f"{peers[fastest].wall_sec / ceiling.wall_sec:.2f}x",
    )
    for phase, took in (
        ("start, validation, reading what is there, until the first object", phases.before),
        ("from the first object to the last", phases.writing),
        ("landing and report, from the last object on", phases.after),
    ):
        yield Row(
            f"{what}: {phase}",
            f"{took:.2f} s",
            f"{CEILING}: {ceiling.wall_sec:.2f} s",
            f"{took / ceiling.wall_sec:.2f} of it",
        )
    services = [
        (SERVICE_NAMES[service], cpu_sec)
        for service, cpu_sec in phases.services_cpu_sec.items()
        if cpu_sec >= CLOCK_TICK_SEC
    ]
    used, to_be_had = ours.cpu_sec + sum(sec for _, sec in services), cores * ours.wall_sec
    yield Row(
        f"{what}: CPU of the push and of the emulators",
        " + ".join([f"{ours.cpu_sec:.2f} s", *(f"{name} {sec:.2f} s" for name, sec in services)]),
        f"{cores} cores for {ours.wall_sec:.2f} s",
        f"{used / to_be_had:.0%} of them",
    )
    yield Row(
        f"{what}: CPU",
        f"{ours.cpu_sec:.2f} s",
        f"{fastest}: {peers[fastest].cpu_sec:.2f} s",
        f"{peers[fastest].cpu_sec / ours.cpu_sec:.2f}x",
    )


class _Upload:
    """One source, uploaded into a new bucket each time by each program."""

    def __init__(self, bench: Bench, stack: BenchStack, source: Path, tls_port: int) -> None:
        self._bench = bench
        self._stack = stack
        self._source = source
        self._tls_port = tls_port
        self._expected = source_sizes(source)
        self.phases: list[Phases] = []
        """Of each run of the sidecar against the others."""

    def variants(self) -> dict[str, Runner]:
        """Return every program that this machine has, by name."""
        found: dict[str, Runner] = {
            OURS: self._ours,
            CEILING: self._bare,
            "google-cloud-storage loop": self._loop,
        }
        if shutil.which("gcloud"):
            found["gcloud storage cp -r"] = self._gcloud
        if self._gsutil():
            found["gsutil -m cp -r (over TLS)"] = self._run_gsutil
        return found

    def ours(self, source: Path, bucket: str) -> Usage:
        """Push into a new bucket, with new raw tables."""
        return self._pushed(source, self._stack.fresh(bucket))

    def _ours(self, number: int) -> Usage:
        settings = self._stack.fresh(f"ours_{number}")
        cpu_before, began = self._stack.cpu_sec(), time.time()
        usage = self._pushed(self._source, settings)
        ended, cpu_after = time.time(), self._stack.cpu_sec()
        self._check(settings.bucket)
        held = held_objects(settings.gcs_endpoint, settings.bucket).values()
        first, last = (pick(each.generation for each in held) / 1e6 for pick in (min, max))
        services = {service: took - cpu_before[service] for service, took in cpu_after.items()}
        self.phases.append(Phases(first - began, last - first, ended - last, services))
        return usage

    def _pushed(self, source: Path, settings: Settings) -> Usage:
        command = [INGEST, "push", str(source), "--until", "upload"]
        return run_command(command, environment_of(settings))

    def second_push(self) -> Row:
        """Push what is there already: nothing may be written."""
        settings = self._stack.fresh("twice")
        command = [INGEST, "push", str(self._source), "--until", "upload"]
        first = run_command(command, environment_of(settings))
        before = held_objects(settings.gcs_endpoint, settings.bucket)
        second = run_command(command, environment_of(settings))
        is_same = held_objects(settings.gcs_endpoint, settings.bucket) == before
        return Row(
            "the same push again",
            f"{second.wall_sec:.2f} s",
            f"first: {first.wall_sec:.2f} s",
            f"{first.wall_sec / second.wall_sec:.2f}x",
            "writes no object",
            is_same and not differing(before, self._expected),
        )

    def _bare(self, number: int) -> Usage:
        loads = [self._load(f"bare-{number}-{threads}", threads) for threads in CONNECTIONS]
        return min(loads, key=lambda usage: usage.wall_sec)

    def _load(self, name: str, threads: int) -> Usage:
        bucket = self._bucket(name)
        port = str(self._stack.layout.port_base)
        script = str(PEER_SCRIPTS / "bare_http.py")
        command = [sys.executable, script, port, bucket, str(self._source), str(threads)]
        done = finished(command, timeout_sec=600)
        if done.returncode:
            raise SystemExit(f"the bare load failed: {done.stderr[-2000:]}")
        self._check(bucket)
        # Its start isn't the server's; the load alone is the ceiling.
        wall_sec, cpu_sec = map(float, done.stdout.split())
        return Usage(wall_sec, cpu_sec, 0.0)

    def _loop(self, number: int) -> Usage:
        bucket = self._bucket(f"loop-{number}")
        script = str(PEER_SCRIPTS / "upload_loop.py")
        python = self._bench.peer_python or sys.executable
        endpoint = str(self._stack.settings.gcs_endpoint)
        usage = run_command([python, script, endpoint, bucket, str(self._source)])
        self._check(bucket)
        return usage

    def _gcloud(self, number: int) -> Usage:
        bucket = self._bucket(f"gcloud-{number}")
        endpoint = str(self._stack.settings.gcs_endpoint)
        environment = {
            **os.environ,
            "CLOUDSDK_CONFIG": str(self._bench.folder / "gcloud"),
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{endpoint}/storage/v1/",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CORE_PROJECT": self._stack.settings.project_id,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        }
        command = ["gcloud", "storage", "cp", "-r", "-q", *self._dates(), f"gs://{bucket}/"]
        usage = run_command(command, environment)
        self._check(bucket)
        return usage

    def _gsutil(self) -> str | None:
        own = self._bench.peers / "bin" / "gsutil" if self._bench.peers else None
        return str(own) if own and own.exists() else shutil.which("gsutil")

    def _run_gsutil(self, number: int) -> Usage:
        bucket = f"gsutil-{number}"
        create_bucket(f"https://127.0.0.1:{self._tls_port}", bucket)
        config = self._bench.folder / "boto"
        config.write_text(
            f"[Credentials]\ngs_json_host = 127.0.0.1\ngs_json_port = {self._tls_port}\n"
            "[Boto]\nhttps_validate_certificates = False\n"
            f"[GSUtil]\nstate_dir = {self._bench.folder / 'gsutil'}\ncheck_hashes = never\n"
            "software_update_check_period = 0\n",
            encoding="utf-8",
        )
        environment = {
            **os.environ,
            "BOTO_CONFIG": str(config),
            "CLOUDSDK_CORE_PASS_CREDENTIALS_TO_GSUTIL": "false",
        }
        command = [str(self._gsutil()), "-q", "-m", "cp", "-r", *self._dates(), f"gs://{bucket}/"]
        usage = run_command(command, environment)
        self._check(bucket, f"https://127.0.0.1:{self._tls_port}")
        return usage

    def _dates(self) -> list[str]:
        return [str(path) for path in sorted(self._source.iterdir())]

    def _bucket(self, name: str) -> str:
        create_bucket(str(self._stack.settings.gcs_endpoint), name)
        return name

    def _check(self, bucket: str, endpoint: str | None = None) -> None:
        held = held_objects(endpoint or self._stack.settings.gcs_endpoint, bucket)
        if wrong := differing(held, self._expected):
            raise SystemExit(f"{bucket} isn't a copy of the source: {len(wrong)}, as {wrong[0]}")


SCENARIO = Scenario(
    "upload",
    "Upload of small files",
    "A new bucket on the same Cloud Storage emulator each time, and names and sizes of its objects "
    "compared with the source after each. The sidecar also validates and hashes every file, reads "
    "what is there, verifies each checksum and lands its facts in BigQuery, all within the time "
    "shown; the others only copy. gsutil speaks TLS alone, so it gets a server of its own that "
    "does. The ceiling is a load of the sidecar's own requests, made beforehand, over 8, 16 or 32 "
    "connections, whichever is fastest; the client's CPU in it says how far it is the server's "
    "limit. The emulator writes one object at a time and has the disk confirm each twice, so the "
    "row of the ceiling against the fastest of the others says how much is to be had at all. What "
    "the sidecar takes beyond the ceiling is in the rows of its phases, by its objects' times; "
    "between the first object and the last the BigQuery emulator, which is asked what is there, "
    "wants the same cores; a row says how much of them all that works has used.",
    run,
    "median of {rounds}, of at most 3 at the smaller sizes of growth",
    {
        r".* objects": "the row of the ceiling against the fastest of the others says how much is "
        "to be had from this emulator by whoever only writes; the rows of the phases say what the "
        "sidecar does beside writing, which the others don't.",
        r".* objects: the emulator's ceiling": "the sidecar validates everything before it sends "
        "anything, and lands what it did after; the rows of the phases say how long each takes, "
        "and that of the writing is what compares with the ceiling.",
    },
)
