"""Cloud Storage servers and buckets of the upload: what is made, held and waited for."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import urllib3

from ingest.local.gcs import gcs_server_command
from ingest.local.layout import is_free
from tests.benchmarks.harness import serving


class HeldObject(NamedTuple):
    """An object of a bucket; the emulator makes generations of its clock, microseconds of UTC."""

    generation: int
    size_bytes: int


def create_bucket(endpoint: str, name: str) -> None:
    """Make a bucket, outside of what is measured."""
    with _http() as http:
        http.request("POST", f"{endpoint}/storage/v1/b", json={"name": name}, retries=False)


def held_objects(endpoint: str | None, bucket: str) -> dict[str, HeldObject]:
    """Return every source object by name."""
    held: dict[str, HeldObject] = {}
    token = ""
    with _http() as http:
        while True:
            url = f"{endpoint}/storage/v1/b/{bucket}/o"
            page = http.request("GET", url, fields={"pageToken": token}, retries=False).json()
            for item in page.get("items", ()):
                if item["name"].endswith(".json"):
                    generation, size_bytes = int(item["generation"]), int(item["size"])
                    held[item["name"]] = HeldObject(generation, size_bytes)
            token = page.get("nextPageToken", "")
            if not token:
                return held


def source_sizes(source: Path) -> dict[str, int]:
    """Return the size in bytes of every file to upload, by its object's name."""
    files = source.glob("*/*/*.json")
    return {path.relative_to(source).as_posix(): path.stat().st_size for path in files}


def differing(held: dict[str, HeldObject], expected: dict[str, int]) -> list[str]:
    """Return the names that are held and not expected, or the reverse, or with another size."""
    sizes = {name: each.size_bytes for name, each in held.items()}
    return sorted(name for name in sizes | expected if sizes.get(name) != expected.get(name))


@contextmanager
def tls_server(folder: Path) -> Iterator[int]:
    """Yield the port of a server that speaks TLS, the only thing that gsutil speaks."""
    port = next(port for port in range(32_000, 32_400) if is_free(port))
    with tempfile.TemporaryDirectory(dir=folder) as root:
        command = gcs_server_command(port, Path(root))
        command = ["https" if part == "http" else part for part in command]
        with serving(command):
            _await(f"https://127.0.0.1:{port}/storage/v1/b")
            yield port


def _http() -> urllib3.PoolManager:
    urllib3.disable_warnings()
    return urllib3.PoolManager(cert_reqs="CERT_NONE", timeout=60)


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
