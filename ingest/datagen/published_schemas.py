"""JSON Schemas of the three files, as published in `ingest/schemas`.

`python -m ingest.datagen.published_schemas` writes them; a test keeps them fresh.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from ingest.datagen.truth_format import ExpectedTruth
from ingest.domain.conversation import Metadata, Transcription

MODELS: dict[str, type[BaseModel]] = {
    "metadata": Metadata,
    "transcription": Transcription,
    "expected": ExpectedTruth,
}


def published_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `<name>.json`."""
    model = MODELS[name]
    schema = model.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{name}.json",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def schema_bytes(name: str) -> bytes:
    """Return the schema as its file holds it."""
    return orjson.dumps(
        published_schema(name), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )


def schema_file(name: str) -> Path:
    """Return where the schema is published."""
    return Path(str(resources.files("ingest"))) / "schemas" / f"{name}.schema.json"


if __name__ == "__main__":
    for each in MODELS:
        schema_file(each).write_bytes(schema_bytes(each))
