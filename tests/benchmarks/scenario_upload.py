"""Upload: thousands of small files into the bucket, by the sidecar and by what else does that."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import urllib3

from ingest.local.gcs_server import gcs_server_command
from ingest.local.ports import is_free
from ingest.settings import Settings
from tests.benchmarks.harness import (
    Bench,
    Row,
    Scenario,
    Usage,
    growth_row,
    paired,
    run_command,
)
from tests.benchmarks.stacks import INGEST, BenchStack, environment_of, running_stack

PEER_SCRIPTS = Path(__file__).parent / "peers"
OURS = "ingest push --until upload"
CEILING = "bare HTTP"
THREADS = 16
FILES_EACH = 2
GROWTH_PARTS = (4, 2, 1)
NEAR_CEILING = 1.2
"""As fast as the emulator answers: at most a fifth longer than a load that does nothing else."""

Runner = Callable[[int], Usage]


def run(bench: Bench) -> Iterator[Row]:
    """Yield the rows."""
    count = bench.size(quick=20, default=2000, full=5000)
    folder = bench.folder / "upload"
    sources = {count // part: folder / f"source-{part}" for part in GROWTH_PARTS}
    for size, source in sources.items():
        generate(source, size)
    with running_stack(folder / "stack") as stack, _tls_server(folder) as tls_port:
        upload = _Upload(bench, stack, sources[count], tls_port)
        medians = paired(upload.variants(), bench.rounds, bench.say)
        yield from _comparisons(count, medians, statistics.median(upload.writing_sec))
        yield upload.second_push()
        sizes = {size: upload.ours(source, f"grow_{size}") for size, source in sources.items()}
    yield growth_row("time of the push", {n: u.wall_sec for n, u in sizes.items()}, "s")
    yield growth_row("CPU of the push", {n: u.cpu_sec for n, u in sizes.items()}, "s")


def generate(folder: Path, count: int) -> None:
    """Make a source of `count` conversations: two files each, without the truth beside them."""
    run_command([INGEST, "data", "generate", "--count", str(count), "--out", str(folder)])
    for path in folder.glob("*/*/expected.json"):
        path.unlink()


def _comparisons(count: int, medians: Mapping[str, Usage], writing_sec: float) -> Iterator[Row]:
    what = f"{count:,} conversations, {count * FILES_EACH:,} objects"
    ours = medians[OURS]
    peers = {name: u for name, u in medians.items() if name not in (OURS, CEILING)}
    fastest = min(peers, key=lambda name: peers[name].wall_sec)
    share = ours.wall_sec / medians[CEILING].wall_sec
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
    yield Row(
        f"{what}: the emulator's ceiling",
        f"{ours.wall_sec:.2f} s",
        f"{CEILING}: {medians[CEILING].wall_sec:.2f} s",
        f"{share:.2f} of it",
        f"≤ {NEAR_CEILING}",
        is_near,
    )
    yield Row(
        f"{what}: from the first object to the last",
        f"{writing_sec:.2f} s",
        f"{CEILING}: {medians[CEILING].wall_sec:.2f} s",
        f"{writing_sec / medians[CEILING].wall_sec:.2f} of it",
    )
    quickest = peers[fastest].wall_sec / medians[CEILING].wall_sec
    yield Row(
        f"{what}: what a program that only writes could reach",
        f"{CEILING}: {medians[CEILING].wall_sec:.2f} s",
        f"{fastest}: {peers[fastest].wall_sec:.2f} s",
        f"{quickest:.2f}x",
    )
    for name, theirs in peers.items():
        if name != fastest:
            continue
        yield Row(
            f"{what}: CPU",
            f"{ours.cpu_sec:.2f} s",
            f"{name}: {theirs.cpu_sec:.2f} s",
            f"{theirs.cpu_sec / ours.cpu_sec:.2f}x",
        )


class _Upload:
    """One source, uploaded into a new bucket each time by each program."""

    def __init__(self, bench: Bench, stack: BenchStack, source: Path, tls_port: int) -> None:
        self._bench = bench
        self._stack = stack
        self._source = source
        self._tls_port = tls_port
        self._file_count = sum(1 for _ in source.glob("*/*/*.json"))
        self.writing_sec: list[float] = []
        """From the first object to the last, of each run of the sidecar against the others."""

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
        usage = self._pushed(self._source, settings)
        # The emulator makes generations of its clock, in microseconds.
        made = [int(held) for held in _listing(settings.gcs_endpoint, settings.bucket).values()]
        self.writing_sec.append((max(made) - min(made)) / 1e6)
        return usage

    def _pushed(self, source: Path, settings: Settings) -> Usage:
        command = [INGEST, "push", str(source), "--until", "upload"]
        return run_command(command, environment_of(settings))

    def second_push(self) -> Row:
        """Push what is there already: nothing may be written."""
        settings = self._stack.fresh("twice")
        command = [INGEST, "push", str(self._source), "--until", "upload"]
        first = run_command(command, environment_of(settings))
        before = _listing(settings.gcs_endpoint, settings.bucket)
        second = run_command(command, environment_of(settings))
        is_same = _listing(settings.gcs_endpoint, settings.bucket) == before
        return Row(
            "the same push again",
            f"{second.wall_sec:.2f} s",
            f"first: {first.wall_sec:.2f} s",
            f"{first.wall_sec / second.wall_sec:.2f}x",
            "writes no object",
            is_same and len(before) == self._file_count,
        )

    def _bare(self, number: int) -> Usage:
        bucket = self._bucket(f"bare-{number}")
        port = str(self._stack.layout.port_base)
        script = str(PEER_SCRIPTS / "bare_http.py")
        command = [sys.executable, script, port, bucket, str(self._source), str(THREADS)]
        began = time.monotonic()
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
        whole = time.monotonic() - began
        self._check(bucket)
        # Its start isn't the server's; the load alone is the ceiling.
        return Usage(min(whole, float(done.stdout)), 0.0, 0.0)

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
        _create_bucket(f"https://127.0.0.1:{self._tls_port}", bucket)
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
        _create_bucket(str(self._stack.settings.gcs_endpoint), name)
        return name

    def _check(self, bucket: str, endpoint: str | None = None) -> None:
        held = _listing(endpoint or self._stack.settings.gcs_endpoint, bucket)
        if len(held) != self._file_count:
            raise SystemExit(f"{bucket} holds {len(held)} objects of {self._file_count}")


def _create_bucket(endpoint: str, name: str) -> None:
    with _http() as http:
        http.request("POST", f"{endpoint}/storage/v1/b", json={"name": name}, retries=False)


def _listing(endpoint: str | None, bucket: str) -> dict[str, str]:
    """Return the generation of every source object by name."""
    held: dict[str, str] = {}
    token = ""
    with _http() as http:
        while True:
            url = f"{endpoint}/storage/v1/b/{bucket}/o"
            page = http.request("GET", url, fields={"pageToken": token}, retries=False).json()
            items = (item for item in page.get("items", ()) if item["name"].endswith(".json"))
            held |= {item["name"]: str(item["generation"]) for item in items}
            token = page.get("nextPageToken", "")
            if not token:
                return held


def _http() -> urllib3.PoolManager:
    urllib3.disable_warnings()
    return urllib3.PoolManager(cert_reqs="CERT_NONE", timeout=60)


@contextmanager
def _tls_server(folder: Path) -> Iterator[int]:
    """Yield the port of a server that speaks TLS, the only thing that gsutil speaks."""
    port = next(port for port in range(32_000, 32_400) if is_free(port))
    with tempfile.TemporaryDirectory(dir=folder) as root:
        command = gcs_server_command(port, Path(root))
        command = ["https" if part == "http" else part for part in command]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            _await(f"https://127.0.0.1:{port}/storage/v1/b")
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _await(url: str) -> None:
    with _http() as http:
        for _ in range(100):
            try:
                http.request("GET", url, timeout=1, retries=False)
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
            else:
                return
    raise SystemExit("the Cloud Storage emulator did not start")


SCENARIO = Scenario(
    "upload",
    "Upload of small files",
    "A new bucket on the same Cloud Storage emulator each time. The sidecar also validates and "
    "hashes every file, reads what is there, verifies each checksum and lands its facts in "
    "BigQuery, all within the time shown; the others only copy. gsutil speaks TLS alone, so it "
    "gets a server of its own that does. The ceiling is a load of the sidecar's own requests, made "
    "beforehand, over as many connections: the emulator writes one object at a time and has the "
    "disk confirm each twice, so that the ceiling itself is only some two times as fast as the "
    "fastest of the others, and three times isn't to be had from this emulator. What the sidecar "
    "takes beyond the ceiling is its start, the validation of everything before anything is sent, "
    "the landing after the last object, and, between the first object and the last, the BigQuery "
    "emulator's answers about what is there, which want the same cores.",
    run,
)
