"""A Terraform provider that knows a schema and nothing else.

Terraform starts it like any provider. It hands out the schema that `provider_schema` rebuilt,
plans by echoing the configuration with everything computed unknown, applies by filling the
unknowns with made-up values, and calls no service. So `terraform validate`, `test`, `plan` and
`apply` run for real on a machine without the provider and without an account.

Runs in the environment of `workspace.Toolbox`, as a process:
    stand_in_provider.py SCHEMA           started by Terraform, ends with its command
    stand_in_provider.py SCHEMA ADDRESS   stays; prints how Terraform may attach to it
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import msgpack
import tf.provider
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc
from tf.runner import run_provider

Block = dict[str, Any]
_UNKNOWN_TYPE = 0
_UNKNOWN = msgpack.ExtType(_UNKNOWN_TYPE, b"\x00")
_NESTING = {
    "list": pb.Schema.NestedBlock.LIST,
    "set": pb.Schema.NestedBlock.SET,
    "single": pb.Schema.NestedBlock.SINGLE,
}


def _is_unknown(value: Any) -> bool:
    return isinstance(value, msgpack.ExtType)


def _schema_message(block: Block) -> Any:
    return pb.Schema(version=0, block=_block_message(block))


def _block_message(block: Block) -> Any:
    return pb.Schema.Block(
        attributes=[
            pb.Schema.Attribute(
                name=name,
                type=json.dumps(attribute["type"]).encode(),
                required=attribute.get("required", False),
                optional=attribute.get("optional", False),
                computed=attribute.get("computed", False),
            )
            for name, attribute in sorted(block["attributes"].items())
        ],
        block_types=[
            pb.Schema.NestedBlock(
                type_name=name,
                nesting=_NESTING[nested["nesting"]],
                min_items=nested["min"],
                max_items=nested["max"],
                block=_block_message(nested["block"]),
            )
            for name, nested in sorted(block["blocks"].items())
        ],
    )


def _read(value: Any) -> Any:
    return msgpack.unpackb(value.msgpack, raw=False, strict_map_key=False)


def _written(value: Any) -> Any:
    return pb.DynamicValue(msgpack=msgpack.packb(value, use_bin_type=True))


def _with_unknowns(block: Block, value: dict[str, Any]) -> dict[str, Any]:
    """Return the value with every computed attribute that isn't given unknown."""
    filled = dict(value)
    for name, attribute in block["attributes"].items():
        if attribute.get("computed") and filled.get(name) is None:
            filled[name] = _UNKNOWN
    return _in_blocks(block, filled, _with_unknowns)


def _in_blocks(block: Block, value: dict[str, Any], change: Any) -> dict[str, Any]:
    for name, nested in block["blocks"].items():
        inner = value.get(name)
        if isinstance(inner, list):
            value[name] = [change(nested["block"], item) for item in inner]
        elif isinstance(inner, dict):
            value[name] = change(nested["block"], inner)
    return value


def _settled(block: Block, value: dict[str, Any], type_name: str) -> dict[str, Any]:
    """Return the value with every unknown replaced by a made-up one, the same each time."""
    known = {name: item for name, item in value.items() if not _is_unknown(item)}
    facts = json.dumps([type_name, known], sort_keys=True, default=str)
    digest = hashlib.sha256(facts.encode()).hexdigest()[:12]
    filled = {
        name: _made_up(name, block["attributes"][name]["type"], known, digest)
        if _is_unknown(item)
        else item
        for name, item in value.items()
    }

    def settle(nested: Block, item: dict[str, Any]) -> dict[str, Any]:
        return _settled(nested, item, type_name)

    return _in_blocks(block, filled, settle)


def _made_up(name: str, type_: Any, known: dict[str, Any], digest: str) -> Any:
    if isinstance(type_, list):
        return {} if type_[0] == "map" else []
    if type_ in ("number", "bool"):
        return 0 if type_ == "number" else False
    account = known.get("account_id") or f"service-{digest}"
    email = f"{account}@{known.get('project', 'stand-in')}.iam.gserviceaccount.com"
    special = {"email": email, "email_address": email, "member": f"serviceAccount:{email}"}
    return special.get(name, f"stand-in-{name}-{digest}")


class StandIn(rpc.ProviderServicer):
    """Answers Terraform's plugin protocol, version 6, from a schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._provider: Block = schema["provider"]
        self._resources: dict[str, Block] = schema["resources"]
        self._data_sources: dict[str, Block] = schema["data_sources"]

    def GetMetadata(self, request: Any, context: Any) -> Any:
        return pb.GetMetadata.Response(
            resources=[pb.GetMetadata.ResourceMetadata(type_name=n) for n in self._resources],
            data_sources=[
                pb.GetMetadata.DataSourceMetadata(type_name=n) for n in self._data_sources
            ],
        )

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        return pb.GetProviderSchema.Response(
            provider=_schema_message(self._provider),
            resource_schemas={n: _schema_message(b) for n, b in self._resources.items()},
            data_source_schemas={n: _schema_message(b) for n, b in self._data_sources.items()},
        )

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateProviderConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        return pb.ConfigureProvider.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        block = self._resources[request.type_name]
        faults = _read_only_faults(block, _read(request.config))
        return pb.ValidateResourceConfig.Response(diagnostics=faults)

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateDataResourceConfig.Response()

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:
        state = json.loads(request.raw_state.json)
        return pb.UpgradeResourceState.Response(upgraded_state=_written(state))

    def ReadResource(self, request: Any, context: Any) -> Any:
        return pb.ReadResource.Response(new_state=request.current_state, private=request.private)

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        proposed = _read(request.proposed_new_state)
        if proposed is not None:
            proposed = _with_unknowns(self._resources[request.type_name], proposed)
        return pb.PlanResourceChange.Response(planned_state=_written(proposed))

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        planned = _read(request.planned_state)
        if planned is not None:
            block = self._resources[request.type_name]
            planned = _settled(block, planned, request.type_name)
        return pb.ApplyResourceChange.Response(new_state=_written(planned))

    def ReadDataSource(self, request: Any, context: Any) -> Any:
        block = self._data_sources[request.type_name]
        state = _settled(block, _with_unknowns(block, _read(request.config)), request.type_name)
        return pb.ReadDataSource.Response(state=_written(state))

    def StopProvider(self, request: Any, context: Any) -> Any:
        return pb.StopProvider.Response()


def _read_only_faults(block: Block, config: dict[str, Any]) -> list[Any]:
    """Refuse a value for an attribute that only the provider sets; Terraform leaves that to us."""
    return [
        pb.Diagnostic(
            severity=pb.Diagnostic.ERROR,
            summary="Value for unconfigurable attribute",
            detail=f"The attribute {name!r} is set by the provider.",
            attribute=pb.AttributePath(steps=[pb.AttributePath.Step(attribute_name=name)]),
        )
        for name, attribute in block["attributes"].items()
        if config.get(name) is not None
        and not attribute.get("required")
        and not attribute.get("optional")
    ]


class Address:
    """What `run_provider` asks its provider for when it's to stay."""

    def __init__(self, name: str) -> None:
        self._name = name

    def full_name(self) -> str:
        """Return the provider's source address."""
        return self._name


def main() -> None:
    """Serve until told to stop."""
    schema = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # `run_provider` makes its servicer from the module's name: the schema-driven one instead.
    tf.provider.ProviderServicer = lambda _: StandIn(schema)
    stays = len(sys.argv) > 2
    run_provider(Address(sys.argv[2] if stays else ""), argv=["", "--dev"] if stays else [""])


if __name__ == "__main__":
    main()
