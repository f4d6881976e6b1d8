"""`.ci/run` with stand-ins for all commands, and the workflows that call it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "run"
SETUP = "make setup"
UPDATE = "apt-get update -qq"
INSTALL = "apt-get install -qq --yes --no-install-recommends chromium chromium-driver"
TOLD = "Tests of pages are skipped (apt-get install chromium chromium-driver)."
_INSTALLS = """
if [ "$1" = install ]; then
  for name in chromium chromedriver; do cp {bin}/id {bin}/$name; done
fi
"""


class Machine:
    """A machine that has bash, the given commands, and nothing else."""

    def __init__(self, folder: Path, user: str = "0") -> None:
        self._bin, self._log = folder / "bin", folder / "log"
        script = folder / "project" / ".ci" / "run"
        script.parent.mkdir(parents=True)
        self._bin.mkdir()
        self._script = shutil.copy(SCRIPT, script)
        for name in ("bash", "env", "dirname", "cp"):
            (self._bin / name).symlink_to(str(shutil.which(name)))
        self.has("id", f"echo {user}", is_told=False)
        self.has("make", 'if [ "$1" = test ]; then echo "CI=${{CI:-}}" >> {log}; fi')

    def lacks(self, name: str) -> Machine:
        (self._bin / name).unlink()
        return self

    def has(self, name: str, does: str = ":", is_told: bool = True) -> Machine:
        tells = f'echo "{name} $*" >> {self._log}\n' if is_told else ""
        done = does.format(bin=self._bin, log=self._log)
        (self._bin / name).write_text(f"#!{self._bin}/bash\n{tells}{done}\n", encoding="utf-8")
        (self._bin / name).chmod(0o755)
        return self

    def runs(self, **environment: str) -> tuple[list[str], str, int]:
        """Return the commands that it ran, what it said, and its exit code."""
        self._log.touch()
        command = [self._bin / "bash", self._script]
        environment["PATH"] = str(self._bin)
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        return self._log.read_text("utf-8").splitlines(), ended.stderr.strip(), ended.returncode


@pytest.fixture
def root(tmp_path: Path) -> Machine:
    return Machine(tmp_path).has("terraform")


@pytest.fixture
def user(tmp_path: Path) -> Machine:
    return Machine(tmp_path, user="1000").has("terraform")


def test_a_browser_that_is_there_is_taken(root: Machine) -> None:
    machine = root.has("chromium").has("chromedriver").has("apt-get")

    assert machine.runs() == ([SETUP, "make test", "CI=true"], "", 0)


def test_root_installs_the_browser(root: Machine) -> None:
    machine = root.has("apt-get", _INSTALLS)

    assert machine.runs() == ([SETUP, UPDATE, INSTALL, "make test", "CI=true"], "", 0)


def test_a_browser_without_its_driver_is_installed_whole(root: Machine) -> None:
    machine = root.has("chromium").has("apt-get", _INSTALLS)

    assert machine.runs() == ([SETUP, UPDATE, INSTALL, "make test", "CI=true"], "", 0)


def test_a_user_with_sudo_installs_the_browser(user: Machine) -> None:
    machine = user.has("apt-get", _INSTALLS).has("sudo", 'shift; [ "$1" = true ] || "$@"')

    asked = "sudo -n env DEBIAN_FRONTEND=noninteractive "
    assert machine.runs() == (
        [
            SETUP,
            "sudo -n true",
            asked + UPDATE,
            UPDATE,
            asked + INSTALL,
            INSTALL,
            "make test",
            "CI=true",
        ],
        "",
        0,
    )


@pytest.mark.parametrize("sudo", [None, "exit 1"])
def test_a_user_without_sudo_is_told_so_and_tests_run(user: Machine, sudo: str | None) -> None:
    machine = user.has("apt-get", _INSTALLS)
    if sudo:
        machine.has("sudo", sudo, is_told=False)

    why = "it isn't here, and installing it takes root or sudo without a password"
    said = f"Chromium and its driver: {why}. {TOLD}"
    assert machine.runs() == ([SETUP, "make test", "CI="], said, 0)


def test_a_machine_without_apt_is_told_so_and_tests_run(root: Machine) -> None:
    why = "it isn't here and there is no apt-get to install it with"

    assert root.runs() == (
        [SETUP, "make test", "CI="],
        f"Chromium and its driver: {why}. {TOLD}",
        0,
    )


def test_an_installation_that_brings_no_browser_is_told(root: Machine) -> None:
    machine = root.has("apt-get")

    said = f"Chromium and its driver: apt-get installed it and it still isn't found. {TOLD}"
    assert machine.runs() == ([SETUP, UPDATE, INSTALL, "make test", "CI="], said, 0)


def test_what_apt_says_of_its_failure_is_kept(root: Machine) -> None:
    machine = root.has("apt-get", "echo 'E: no route to mirror' >&2; exit 100")

    why = "apt-get could not install it; its own words are above"
    said = f"E: no route to mirror\nChromium and its driver: {why}. {TOLD}"
    assert machine.runs() == ([SETUP, UPDATE, "make test", "CI="], said, 0)


def test_without_terraform_its_tests_are_left_out_as_elsewhere(tmp_path: Path) -> None:
    machine = Machine(tmp_path).has("chromium").has("chromedriver")

    assert machine.runs() == ([SETUP, "make test", "CI="], "", 0)


@pytest.mark.parametrize("has_terraform", [True, False])
def test_where_a_tool_is_missing_tests_are_left_out_though_the_service_says_ci(
    tmp_path: Path, has_terraform: bool
) -> None:
    machine = Machine(tmp_path, user="1000")
    if has_terraform:
        machine.has("terraform")
    else:
        machine.has("chromium").has("chromedriver")

    commands, _, code = machine.runs(CI="true")

    assert (commands, code) == ([SETUP, "make test", "CI="], 0)


def test_without_make_it_says_so_and_does_nothing(root: Machine) -> None:
    machine = root.has("apt-get", _INSTALLS).lacks("make")

    said = "make isn't here, and every step goes by it: install it (apt-get install make)."
    assert machine.runs() == ([], said, 1)


def test_without_python_or_packages_no_browser_is_installed(root: Machine) -> None:
    machine = root.has("apt-get", _INSTALLS).has("make", "echo 'Python 3.13 is needed' >&2; exit 2")

    assert machine.runs() == ([SETUP], "Python 3.13 is needed", 2)


def test_the_exit_code_is_that_of_the_tests(root: Machine) -> None:
    machine = root.has("chromium").has("chromedriver").has("make", '[ "$1" != test ] || exit 2')

    assert machine.runs() == ([SETUP, "make test"], "", 2)


@pytest.mark.parametrize(
    "command", [["actionlint"], ["zizmor", "--offline", "--quiet", "--pedantic", ".github"]]
)
def test_workflows_have_no_finding(command: list[str]) -> None:
    name, *arguments = command
    tool = Path(sys.executable).with_name(name)

    done = subprocess.run(
        [tool, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pipeline_takes_no_provider_that_the_lock_file_does_not_name() -> None:
    deploy = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
    inits = [line.strip() for line in deploy.splitlines() if "terraform init" in line]

    assert inits == ['terraform init -lockfile=readonly -backend-config=bucket="$STATE_BUCKET"'] * 2


def test_workflows_and_hooks_name_what_is_there() -> None:
    """Every `make` target, program of .venv and Python that they name exists."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    targets = {step.split()[1] for step in steps if step.startswith("make ")}
    programs = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in hooks["hooks"]}
    pythons = SpecifierSet(project["requires-python"])
    minors = [f"3.{minor}" for minor in range(30) if f"3.{minor}" in pythons]

    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    here = Path(sys.executable).parent
    assert [name for name in programs if not (here / name).is_file()] == []
    assert workflow["jobs"]["check"]["strategy"]["matrix"]["python"] == minors


def _release_notes(tag: str, root: Path) -> subprocess.CompletedProcess[str]:
    script = root / ".github" / "release_notes.py"
    return subprocess.run(
        [sys.executable, script, tag], capture_output=True, text=True, check=False, timeout=20
    )


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A project of version 1.2.0 with notes of two versions."""
    (tmp_path / ".github").mkdir()
    shutil.copy(ROOT / ".github" / "release_notes.py", tmp_path / ".github")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    sections = "# Changelog\n\n## [1.2.0] - 2026-12-01\n\n- New.\n\n## [1.1.0]\n\n- Old.\n"
    (tmp_path / "CHANGELOG.md").write_text(sections)
    return tmp_path


def test_a_release_has_the_changelogs_section_of_its_version(released: Path) -> None:
    found = _release_notes("v1.2.0", released)

    assert (found.stdout, found.stderr, found.returncode) == ("- New.\n", "", 0)


@pytest.mark.parametrize(
    ("tag", "version", "said"),
    [
        ("v1.3.0", "1.2.0", "the tag is v1.3.0, pyproject.toml says 1.2.0: they must agree\n"),
        (
            "v2.0.0",
            "2.0.0",
            "CHANGELOG.md has no section [2.0.0]: rename [Unreleased] first\n",
        ),
    ],
)
def test_a_tag_of_another_version_or_without_notes_releases_nothing(
    released: Path, tag: str, version: str, said: str
) -> None:
    (released / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')

    found = _release_notes(tag, released)

    assert (found.stdout, found.stderr, found.returncode) == ("", said, 1)
