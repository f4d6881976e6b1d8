"""A real GoogleSQL analyzer (ZetaSQL in WebAssembly) set to what BigQuery accepts.

The emulator runs DuckDB underneath and takes much that BigQuery refuses, so each statement is
judged here as well. ZetaSQL has features that BigQuery lacks; only BigQuery's are switched on.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wasmtime
import zetasql.core.wasm_client as wasm_client
from zetasql.core.exceptions import ServerError
from zetasql.core.wasm_client import WasmClient
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2
from zetasql.wasi._pb2.zetasql.proto import function_pb2, options_pb2, simple_catalog_pb2
from zetasql.wasi._pb2.zetasql.public import builtin_function_pb2, type_pb2
from zetasql.wasi._pb2.zetasql.public import function_pb2 as public_function_pb2
from zetasql.wasi._pb2.zetasql.public import options_pb2 as public_options_pb2
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_node_kind_pb2

from tests.warehouse.outer_joins import loose_outer_joins
from tests.warehouse.recursive_withs import inner_recursive_withs

FEATURES_FILE = Path(__file__).with_name("googlesql_features.txt")
NOT_IN_BIGQUERY = (
    "array_transform", "array_filter", "array_includes", "array_includes_any",
    "array_includes_all", "array_min", "array_max", "array_is_distinct", "array_first_n",
    "array_last_n", "flatten", "l1_norm", "l2_norm", "dot_product", "manhattan_distance",
    "split_substr", "regexp_extract_groups", "safe_to_json",
)  # fmt: skip
STATEMENTS = (
    "RESOLVED_ALTER_TABLE_STMT",
    "RESOLVED_QUERY_STMT",
    "RESOLVED_CREATE_SCHEMA_STMT",
    "RESOLVED_CREATE_TABLE_AS_SELECT_STMT",
    "RESOLVED_CREATE_VIEW_STMT",
    "RESOLVED_INSERT_STMT",
    "RESOLVED_EXPORT_DATA_STMT",
    "RESOLVED_MERGE_STMT",
    "RESOLVED_DELETE_STMT",
)


class _CachedConfig(wasmtime.Config):
    """Keeps the compiled module on disk: 20 s the first time, 1 s after that."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = True


class _FastClient(WasmClient):
    """Copies whole buffers; the shipped client copies byte by byte."""

    def write_bytes(self, ptr: int, data: bytes) -> None:
        ctypes.memmove(self._address() + ptr, data, len(data))

    def read_bytes(self, ptr: int, size: int) -> bytes:
        return ctypes.string_at(self._address() + ptr, size)

    def _address(self) -> int:
        return ctypes.addressof(self.memory.data_ptr().contents)


@dataclass(frozen=True)
class Column:
    """One output column: its name and GoogleSQL type."""

    name: str
    type: Any

    @property
    def type_name(self) -> str:
        return _type_name(self.type)


@dataclass
class GoogleSql:
    """Judges statements against the tables that were registered."""

    tables: dict[tuple[str, str, str], list[Column]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wasm_client.Config = _CachedConfig  # type: ignore[misc]
        self._client = _FastClient(get_wasm_path())
        self._options = _analyzer_options()

    def columns_of(self, query: str) -> list[Column]:
        """Return the output columns of a query; raise SqlError where BigQuery would refuse it."""
        statement = self._analyze(query).resolved_query_stmt_node
        columns = [Column(c.name, c.column.type) for c in statement.output_column_list]
        names = [column.name.lower() for column in columns]
        unnamed = [name for name in names if name.startswith("$")]
        if unnamed or len(set(names)) < len(names):
            raise SqlError(f"columns without a name or twice: {sorted(names)}")
        return columns

    def check(self, statement: str) -> None:
        """Raise SqlError where BigQuery would refuse the statement."""
        self._analyze(statement)

    def execute(self, statement: str) -> None:
        """Check the statement; a table or view that it creates can be read from then on."""
        create = self._analyze(statement).resolved_create_statement_node
        table = (
            create.resolved_create_table_stmt_base_node.resolved_create_table_as_select_stmt_node
        )
        view = create.resolved_create_view_base_node.resolved_create_view_stmt_node
        if table.parent.parent.name_path:
            made = [Column(c.name, c.type) for c in table.parent.column_definition_list]
            self.add_table(table.parent.parent.name_path, made)
        elif view.parent.parent.name_path:
            made = [Column(c.name, c.column.type) for c in view.parent.output_column_list]
            self.add_table(view.parent.parent.name_path, made)

    def add_table(self, place: Sequence[str], columns: list[Column]) -> None:
        """Let statements read the table at (project, dataset, name)."""
        project, dataset, name = place
        self.tables[project, dataset, name] = columns

    def types_of(self, data_types: dict[str, str]) -> list[Column]:
        """Return columns of the given GoogleSQL types, as a table's declaration has them."""
        casts = ", ".join(f"cast(null as {kind}) as `{name}`" for name, kind in data_types.items())
        return self.columns_of(f"select {casts}")

    def _analyze(self, sql: str) -> Any:
        request = self.request(local_service_pb2.AnalyzeRequest, sql, statement="sql_statement")
        try:
            response = self.call("Analyze", request)
        except ServerError as error:
            raise SqlError(str(error)) from error
        if loose_outer_joins(response.resolved_statement):
            raise SqlError("an outer join without an equality of fields from both sides")
        if inner_recursive_withs(response.resolved_statement):
            raise SqlError("WITH RECURSIVE that isn't at the top level of the statement")
        return response.resolved_statement

    def request(self, kind: Any, sql: str, statement: str = "sql") -> Any:
        """Return a request of that kind about the SQL and the tables that it names."""
        catalog = self._catalog(sql)
        return kind(options=self._options, simple_catalog=catalog, **{statement: sql})

    def call(self, method: str, request: Any) -> Any:
        """Ask ZetaSQL; raise ServerError where it refuses."""
        answer = getattr(local_service_pb2, f"{method}Response")
        return self._client.call_grpc_func(f"ZetaSqlLocalService_{method}", request, answer)

    def _catalog(self, sql: str) -> Any:
        catalog = simple_catalog_pb2.SimpleCatalogProto(name="root")
        catalog.builtin_function_options.language_options.CopyFrom(self._options.language_options)
        _exclude_functions(catalog.builtin_function_options)
        catalog.custom_function.extend(_by_functions())
        for (project, dataset, name), columns in self.tables.items():
            if f"`{name}`" not in sql:
                continue
            table = _child(_child(catalog, project), dataset).table.add(name=name)
            for column in columns:
                table.column.add(name=column.name, type=column.type)
        return catalog


class SqlError(Exception):
    """BigQuery would refuse the statement."""


def _child(catalog: Any, name: str) -> Any:
    for existing in catalog.catalog:
        if existing.name == name:
            return existing
    return catalog.catalog.add(name=name)


def _analyzer_options() -> Any:
    options = options_pb2.AnalyzerOptionsProto()
    language = options.language_options
    language.product_mode = public_options_pb2.PRODUCT_EXTERNAL
    language.name_resolution_mode = public_options_pb2.NAME_RESOLUTION_DEFAULT
    language.reserved_keywords.append("QUALIFY")
    for name in FEATURES_FILE.read_text(encoding="utf-8").split():
        language.enabled_language_features.append(
            public_options_pb2.LanguageFeature.Value(f"FEATURE_{name}")
        )
    language.supported_statement_kinds.extend(
        resolved_node_kind_pb2.ResolvedNodeKind.Value(kind) for kind in STATEMENTS
    )
    options.error_message_mode = public_options_pb2.ERROR_MESSAGE_ONE_LINE
    options.prune_unused_columns = False
    options.default_timezone = "UTC"
    return options


def _exclude_functions(options: Any) -> None:
    for name, number in builtin_function_pb2.FunctionSignatureId.items():
        if name.removeprefix("FN_").lower().startswith(NOT_IN_BIGQUERY):
            options.exclude_function_ids.append(number)


def _by_functions() -> list[Any]:
    """MAX_BY and MIN_BY: BigQuery has them, this ZetaSQL doesn't."""
    functions = []
    for name in ("max_by", "min_by"):
        function = function_pb2.FunctionProto(
            name_path=[name], group="custom", mode=public_function_pb2.FunctionEnums.AGGREGATE
        )
        signature = function.signature.add(context_id=0)
        signature.return_type.CopyFrom(_any("ARG_TYPE_ANY_1"))
        signature.argument.append(_any("ARG_TYPE_ANY_1"))
        signature.argument.append(_any("ARG_TYPE_ANY_2"))
        functions.append(function)
    return functions


def _any(kind: str) -> Any:
    return function_pb2.FunctionArgumentTypeProto(
        kind=public_function_pb2.SignatureArgumentKind.Value(kind), num_occurrences=1
    )


_SHORT = {"DOUBLE": "FLOAT64"}


def _type_name(proto: Any) -> str:
    kind = type_pb2.TypeKind.Name(proto.type_kind).removeprefix("TYPE_")
    if kind == "ARRAY":
        return f"array<{_type_name(proto.array_type.element_type)}>"
    if kind == "STRUCT":
        fields = (f"{f.field_name} {_type_name(f.field_type)}" for f in proto.struct_type.field)
        return f"struct<{', '.join(fields)}>"
    return _SHORT.get(kind, kind).lower()
