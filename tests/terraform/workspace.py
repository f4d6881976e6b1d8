"""Where Terraform's checks run: tools fetched once, and throw-away copies of the repository.

Tools lie in `.cache/terraform` and are keyed by what they were made from. Checks never run in the
repository itself, so no lock file, plugin folder or state can be left in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .provider_schema import types_used, write_schema

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache" / "terraform"
FOLDER = Path(__file__).resolve().parent
MODULE = "terraform/modules/conversation_insights"
ROOTS = (
    "terraform/bootstrap",
    "terraform/environments/dev",
    "terraform/environments/test",
    "terraform/environments/prod",
)
_COPIED = ("terraform", "ingest/schemas", "seeds/phrase_matchers.csv",
           "seeds/phrase_matcher_rules.csv")  # fmt: skip
# Types that only a seeded fault uses: they have to be known for its check to see it.
_SEEDED_TYPES = {"google_service_account_key"}
_PROVIDERS = {"google": "cdktn_provider_google-", "google-beta": "cdktn_provider_google_beta-"}


@dataclass(frozen=True)
class Toolbox:
    """Everything a check needs beside the repository."""

    python: Path
    mirror: Path
    provider_version: str
    terraform: str

    def checkov(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run checkov, offline."""
        return _run(
            [str(self.python.with_name("checkov")), *arguments], cwd, {"LOG_LEVEL": "ERROR"}
        )


@dataclass
class Workspace:
    """A copy of what Terraform reads, which a check may change as it likes."""

    toolbox: Toolbox
    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def terraform(self, root: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a Terraform command in one root of the copy."""
        command = [self.toolbox.terraform, f"-chdir={self.path / root}", *arguments]
        return _run(command, self.path, self.environment)

    def plan(self, root: str, *variables: str) -> dict[str, Any]:
        """Plan the root and return the plan as Terraform's JSON; raises with what it printed."""
        given = [f"-var={variable}" for variable in variables]
        made = self.terraform(root, "plan", "-input=false", "-no-color", "-out=plan.bin", *given)
        shown = self.terraform(root, "show", "-json", "plan.bin")
        if made.returncode != 0 or shown.returncode != 0:
            raise RuntimeError(f"plan of {root} failed:\n{made.stderr}{shown.stderr}")
        plan: dict[str, Any] = json.loads(shown.stdout)
        return plan

    def init(self, root: str) -> subprocess.CompletedProcess[str]:
        """Install the stand-in providers; state goes to a local file."""
        if (self.path / root / "backend.tf").exists():
            override = 'terraform {\n  backend "local" {}\n}\n'
            (self.path / root / "backend_override.tf").write_text(override, encoding="utf-8")
        return self.terraform(
            root, "init", "-input=false", "-no-color", f"-plugin-dir={self.toolbox.mirror}"
        )


def find_terraform() -> str | None:
    """Return the terraform on this machine, or None."""
    return shutil.which("terraform")


def prepare_toolbox(terraform: str) -> Toolbox:
    """Fetch what isn't in the cache yet: under a minute and a half the first time."""
    (CACHE / "home").mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        python = _tool_environment()
        wheels = _provider_wheels()
        mirror, version = _mirror(python, wheels)
    return Toolbox(python=python, mirror=mirror, provider_version=version, terraform=terraform)


def make_workspace(toolbox: Toolbox, path: Path) -> Workspace:
    """Copy what Terraform reads to the path, in the same places relative to each other."""
    for name in _COPIED:
        source, target = REPOSITORY / name, path / name
        if source.is_dir():
            ignored = shutil.ignore_patterns(
                ".terraform", "*.tfstate*", "*.tfvars", ".terraform.lock.hcl"
            )
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return Workspace(toolbox=toolbox, path=path)


@contextmanager
def attached(toolbox: Toolbox) -> Iterator[dict[str, str]]:
    """Keep the stand-ins running and yield the variable by which Terraform finds them.

    Starting a provider for each command is what most of a command's time goes into.
    """
    servers: list[subprocess.Popen[str]] = []
    found: dict[str, object] = {}
    try:
        for provider in _PROVIDERS:
            command = [
                str(toolbox.python),
                "-u",
                str(FOLDER / "stand_in_provider.py"),
                str(toolbox.mirror / f"{provider}.json"),
                f"registry.terraform.io/hashicorp/{provider}",
            ]
            server = subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, env={"HOME": str(CACHE / "home")}
            )
            servers.append(server)
            found |= _reattach_entry(server)
        yield {"TF_REATTACH_PROVIDERS": json.dumps(found)}
    finally:
        for server in servers:
            server.terminate()
            server.wait(timeout=10)
            if server.stdout is not None:
                server.stdout.close()


def _reattach_entry(server: subprocess.Popen[str]) -> dict[str, object]:
    assert server.stdout is not None
    for line in server.stdout:
        match = re.search(r"TF_REATTACH_PROVIDERS='(.*)'", line)
        if match is not None:
            entry: dict[str, object] = json.loads(match.group(1))
            return entry
    raise RuntimeError("the stand-in provider ended before it served")


def _digest(*parts: str | bytes) -> str:
    joined = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(joined).hexdigest()[:16]


@contextmanager
def _made_whole(target: Path) -> Iterator[Path]:
    """Give a folder to fill that takes the target's place only when all went well."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    yield partial
    partial.rename(target)


def _tool_environment() -> Path:
    requirements = (FOLDER / "requirements.txt").read_bytes()
    target = CACHE / f"tools-{_digest(requirements, sys.version)}"
    python = target / "bin" / "python"
    if not (target / "complete").exists():
        shutil.rmtree(target, ignore_errors=True)
        venv.create(target, with_pip=True)
        install = ["install", "--quiet", "--no-deps", "--require-hashes"]
        _pip(python, *install, "-r", str(FOLDER / "requirements.txt"))
        (target / "complete").touch()
    return python


def _provider_wheels() -> Path:
    pins = FOLDER / "provider_wheels.txt"
    target = CACHE / f"wheels-{_digest(pins.read_bytes())}"
    if not target.exists():
        with _made_whole(target) as partial:
            download = ["download", "--quiet", "--no-deps", "--require-hashes"]
            _pip(Path(sys.executable), *download, "-d", str(partial), "-r", str(pins))
    return target


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(
            f"the tools of Terraform's checks could not be fetched, so nothing was checked:\n"
            f"{result.stderr[-2000:]}"
        )


def _mirror(python: Path, wheels: Path) -> tuple[Path, str]:
    """Lay out a provider mirror whose binaries are the stand-in, one schema each."""
    types = types_used(sorted((REPOSITORY / "terraform").rglob("*.tf"))) | _SEEDED_TYPES
    code = b"".join((FOLDER / f"{n}.py").read_bytes() for n in ("provider_schema", "workspace"))
    target = CACHE / f"mirror-{_digest(code, wheels.name, str(python), *sorted(types))}"
    if not target.exists():
        with _made_whole(target) as partial:
            for provider, prefix in _PROVIDERS.items():
                wheel = next(wheels.glob(f"{prefix}*.whl"))
                schema = partial / f"{provider}.json"
                version = write_schema(wheel, types, schema)
                (partial / "version").write_text(version, encoding="utf-8")
                _install_stand_in(python, partial, target, provider, version)
    return target, (target / "version").read_text(encoding="utf-8")


def _install_stand_in(
    python: Path, partial: Path, target: Path, provider: str, version: str
) -> None:
    platform = f"linux_{'arm64' if os.uname().machine == 'aarch64' else 'amd64'}"
    folder = partial / "registry.terraform.io" / "hashicorp" / provider / version / platform
    folder.mkdir(parents=True)
    binary = folder / f"terraform-provider-{provider}_v{version}"
    stand_in, schema = FOLDER / "stand_in_provider.py", target / f"{provider}.json"
    binary.write_text(f'#!/bin/sh\nexec "{python}" "{stand_in}" "{schema}"\n', encoding="utf-8")
    binary.chmod(0o755)


def _run(
    command: list[str], cwd: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    base = {
        # Programs of the project (`ingest`) come first, as for whoever applies for real.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(CACHE / "home"),
        "TF_CLI_CONFIG_FILE": os.devnull,
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
    }
    return subprocess.run(
        command,
        cwd=cwd,
        env={**base, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
