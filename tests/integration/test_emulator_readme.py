"""The examples of the Insights emulator's README run as they stand, but for their ports.

Node's client comes from npm and isn't installed here: NODE_PATH=…/node_modules runs its example.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import contact_center_insights_v1 as insights

from ingest.emulator import protos
from tests.stack_fixture import Stack

pytestmark = pytest.mark.stack
PARENT = "projects/my-project/locations/us-central1"
PORTS = {"9040": "gcs", "9042": "ci", "9043": "ci_rest"}


def example(stack: Stack, pattern: str) -> str:
    """Return what the README shows there, with the stack's ports."""
    readme = Path(protos.__file__).with_name("README.md").read_text("utf-8")
    (found,) = re.findall(pattern, readme.partition("\n## Use\n")[2], re.DOTALL | re.MULTILINE)
    for port, name in PORTS.items():
        found = found.replace(port, str(stack.layout.ports[name]))
    return str(found)


def run(*command: str) -> str:
    """Return what a command writes."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def analysed(stack: Stack) -> Iterator[insights.ContactCenterInsightsClient]:
    """Run the example in Python and yield the client that the one of REST makes."""
    code = example(stack, r"^```python\n(import json\n.*?)^```")
    assert run(sys.executable, "-c", code + "\nprint(analysis.name)").startswith("projects/")
    names = {"insights": insights, "AnonymousCredentials": AnonymousCredentials}
    exec(example(stack, r'^```python\n(client = insights[^`]*"rest".*?)^```'), names)
    client = names["client"]
    yield client
    made = {f"{PARENT}/conversations/{id_}" for id_ in ("call-1", "call-2")}
    for each in client.list_conversations(parent=PARENT):
        if each.name in made:
            client.delete_conversation(request={"name": each.name, "force": True})


def test_python_rest_curl_and_node(
    stack: Stack, analysed: insights.ContactCenterInsightsClient
) -> None:
    call = analysed.get_conversation(name=f"{PARENT}/conversations/call-1")
    curl = example(stack, r"^    (curl [^\n]*)$").replace("projects/p/", "projects/my-project/")
    listed = json.loads(run("sh", "-c", curl))
    assert call.latest_analysis.name.startswith(f"{call.name}/analyses/")
    assert {"name": call.name} in listed["conversations"]
    if not (shutil.which("node") and os.environ.get("NODE_PATH")):
        return
    printed = run("node", "-e", example(stack, r"^```javascript\n(.*?)^```")).strip()
    again = analysed.get_conversation(name=call.name.replace("call-1", "call-2"))
    assert again.latest_analysis.name == printed
