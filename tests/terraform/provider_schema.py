"""Reads a provider's schema out of its published language bindings.

The bindings `cdktn-provider-google` and `-google-beta` are generated from the output of
`terraform providers schema -json`. The generated JavaScript inside the wheel states, for every
attribute, whether it is computed, optional or required, and, for every block, whether it comes
once, as a list or as a set. That's enough to rebuild the schema, without the provider's binary.

What the bindings don't say, and so nobody can check here: which change replaces a resource,
allowed values, conflicts between arguments, and defaults that the provider fills in.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Block = dict[str, Any]

_CLASS = re.compile(r"^class (\w+) extends cdktn\.(\w+) \{$(.*?)^\}$", re.M | re.S)
_MEMBER = re.compile(
    r"^    // (\w+) - computed: (true|false), optional: (true|false), required: (true|false)\n"
    r"(.*?)(?=^    // \w+ - computed:|^    // =|\Z)",
    re.M | re.S,
)
_NESTED = re.compile(r"= new (?:index_1\.|structs\w+\.)?(\w+)\(this, \"\w+\"(?:, (true|false))?\)")
_GETTER = re.compile(r"(tolist\()?this\.get(\w*?)Attribute\('")
_BLOCK_KIND = re.compile(
    r"isBlock: true,\n\s+type: \"(\w+)\",\n\s+storageClassType: \"(\w+)\"", re.M
)
_PROVIDER_TYPE = re.compile(r"^            (\w+): \{\n.*?storageClassType: \"(\w+)\"", re.M | re.S)
_TYPES: dict[str, Any] = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
    "NumberMap": ["map", "number"],
    "BooleanMap": ["map", "bool"],
    "AnyMap": ["map", "string"],
}
_STORAGE_TYPES: dict[str, Any] = {
    "string": "string",
    "number": "number",
    "boolean": "bool",
    "stringList": ["list", "string"],
    "numberList": ["list", "number"],
    "stringMap": ["map", "string"],
}


@dataclass(frozen=True)
class _Bindings:
    """One file of the bindings: its classes, and how each kind of block is collected."""

    classes: dict[str, tuple[str, str]]
    nestings: dict[str, str]

    def body(self, class_name: str) -> str:
        """Return the members of a class."""
        return self.classes[class_name][1]

    def element(self, class_name: str) -> str:
        """Return the members of what a list class collects, or of a class that comes once."""
        if self.is_list(class_name):
            class_name = class_name.removesuffix("List") + "OutputReference"
        return self.body(class_name)

    def is_list(self, class_name: str) -> bool:
        """Return whether the block may come more than once."""
        return self.classes[class_name][0] == "ComplexList"

    def nesting(self, class_name: str) -> str:
        """Return list or set, as the provider keeps it, also for a block that comes once."""
        stored = class_name if self.is_list(class_name) else None
        stored = stored or class_name.removesuffix("OutputReference") + "List"
        return "set" if self.nestings.get(stored) == "set" else "list"


def types_used(sources: Iterable[Path]) -> set[str]:
    """Return every `google_*` type that the sources name, data sources as `data.google_*`."""
    found: set[str] = set()
    for source in sources:
        text = source.read_text(encoding="utf-8")
        for kind, name in re.findall(r'^\s*(resource|data)\s+"(google_\w+)"', text, re.M):
            found.add(name if kind == "resource" else f"data.{name}")
    return found


def read_schema(wheel: Path, types: Iterable[str]) -> dict[str, Any]:
    """Return `{"version", "provider", "resources", "data_sources"}` of those types.

    A type that the provider lacks is left out: Terraform then says so itself.
    """
    with zipfile.ZipFile(wheel) as outer:
        inner = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        package = outer.read(inner)
    folders = {_folder(name): name for name in types}
    texts = _read_folders(package, {*folders, "provider"})
    provider_text = texts["provider"]
    version = re.search(r"providerVersion: '([\d.]+)'", provider_text)
    if version is None:
        raise ValueError(f"{wheel.name}: no provider version in the bindings")
    schema: dict[str, Any] = {
        "version": version.group(1),
        "provider": _provider_block(provider_text),
        "resources": {},
        "data_sources": {},
    }
    for folder, name in sorted(folders.items()):
        if folder in texts:
            kind = "data_sources" if name.startswith("data.") else "resources"
            schema[kind][name.removeprefix("data.")] = _top_block(texts[folder])
    return schema


def _folder(name: str) -> str:
    bare = name.removeprefix("data.").removeprefix("google_").replace("_", "-")
    return f"data-google-{bare}" if name.startswith("data.") else bare


def _read_folders(package: bytes, folders: set[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(package), mode="r|gz") as archive:
        for member in archive:
            parts = member.name.split("/")
            if parts[:2] != ["package", "lib"] or len(parts) < 4 or not parts[-1].endswith(".js"):
                continue
            # The beta package puts "google-" before the folder of a resource.
            folder = parts[2].removeprefix("google-")
            content = archive.extractfile(member)
            if folder in folders and content is not None:
                texts[folder] = texts.get(folder, "") + content.read().decode() + "\n"
    return texts


def _read(text: str) -> _Bindings:
    classes = {name: (base, body) for name, base, body in _CLASS.findall(text)}
    return _Bindings(classes, {stored: kind for kind, stored in _BLOCK_KIND.findall(text)})


def _top_block(text: str) -> Block:
    bindings = _read(text)
    bodies = [
        body
        for base, body in bindings.classes.values()
        if base in ("TerraformResource", "TerraformDataSource")
    ]
    if len(bodies) != 1:
        raise ValueError(f"expected one resource in the bindings' file, found {len(bodies)}")
    return _block(bodies[0], bindings)


def _provider_block(text: str) -> Block:
    classes = _read(text).classes
    body = next(body for base, body in classes.values() if base == "TerraformProvider")
    types = dict(_PROVIDER_TYPE.findall(body[body.index("synthesizeHclAttributes") :]))
    attributes: dict[str, Any] = {}
    for name in re.findall(r"^    // (\w+) - computed:", body, re.M):
        if types.get(name) in _STORAGE_TYPES:
            attributes[name] = {"type": _STORAGE_TYPES[types[name]], "optional": True}
    return {"attributes": attributes, "blocks": {}}


def _block(body: str, bindings: _Bindings) -> Block:
    attributes: dict[str, Any] = {}
    blocks: dict[str, Any] = {}
    for name, computed, optional, required, text in _MEMBER.findall(body):
        flags = {"computed": computed, "optional": optional, "required": required}
        nested = _NESTED.search(text)
        if nested is not None and nested.group(1) in bindings.classes:
            is_attribute = computed == "true" and optional == "false"
            if is_attribute:
                attributes[name] = {"type": _object_list(nested, bindings), "computed": True}
            else:
                blocks[name] = _nested_block(name, nested.group(1), required == "true", bindings)
            continue
        attributes[name] = {
            "type": _attribute_type(text),
            **{flag: True for flag, value in flags.items() if value == "true"},
        }
    return {"attributes": attributes, "blocks": blocks}


def _nested_block(name: str, class_name: str, is_required: bool, bindings: _Bindings) -> Block:
    block = _block(bindings.element(class_name), bindings)
    if name == "timeouts":
        return {"nesting": "single", "min": 0, "max": 0, "block": block}
    return {
        "nesting": bindings.nesting(class_name),
        "min": int(is_required),
        "max": 0 if bindings.is_list(class_name) else 1,
        "block": block,
    }


def _object_list(nested: re.Match[str], bindings: _Bindings) -> Any:
    class_name, wraps_set = nested.groups()
    element = _block(bindings.element(class_name), bindings)
    fields = {name: attribute["type"] for name, attribute in element["attributes"].items()}
    return ["set" if wraps_set == "true" else "list", ["object", fields]]


def _attribute_type(text: str) -> Any:
    built_in = re.search(r"= new cdktn\.(\w+)\(this", text)
    if built_in is not None:
        return _TYPES[built_in.group(1)]
    getter = _GETTER.search(text)
    if getter is None:
        return "dynamic"
    wraps_set, kind = getter.groups()
    found = _TYPES.get(kind, "dynamic")
    return ["set", found[1]] if wraps_set and isinstance(found, list) else found


def write_schema(wheel: Path, types: Iterable[str], target: Path) -> str:
    """Write the schema as JSON and return the provider's version."""
    schema = read_schema(wheel, types)
    target.write_text(json.dumps(schema, sort_keys=True), encoding="utf-8")
    return str(schema["version"])
