"""gRPC reflection: descriptors of the services, so that clients like grpcurl find their way.

The official package ships messages without the service's own descriptor; it is made here from
the table of methods.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection

from ingest.emulator import protos
from ingest.emulator.controlling import CONTROL_SERVICE
from ingest.emulator.surface import INSIGHTS_METHODS, Method

_FILE = "ingest/emulator/services.proto"
_CONTROL_FILE = "ingest/emulator/control.proto"
_STRUCT = "google.protobuf.Struct"


def enable_reflection(server: Any, control_methods: list[str]) -> None:
    """Serve descriptors of every service of the emulator."""
    pool = descriptor_pool.Default()
    _add(pool, _FILE, protos.SERVICE, list(INSIGHTS_METHODS))
    control = [Method(CONTROL_SERVICE, name, _STRUCT, _STRUCT) for name in control_methods]
    _add(pool, _CONTROL_FILE, CONTROL_SERVICE, control)
    names = (
        protos.SERVICE,
        protos.OPERATIONS_SERVICE,
        CONTROL_SERVICE,
        "grpc.health.v1.Health",
        reflection.SERVICE_NAME,
    )
    reflection.enable_server_reflection(names, server, pool)


def _add(pool: Any, path: str, service: str, methods: list[Method]) -> None:
    package, _, name = service.rpartition(".")
    file = descriptor_pb2.FileDescriptorProto(name=path, package=package, syntax="proto3")
    file.service.add(name=name)
    messages = sorted({m.request for m in methods} | {m.response for m in methods})
    file.dependency.extend(
        sorted({pool.FindMessageTypeByName(message).file.name for message in messages})
    )
    for method in methods:
        file.service[0].method.add(
            name=method.name, input_type=f".{method.request}", output_type=f".{method.response}"
        )
    pool.Add(file)
