from __future__ import annotations

import duckdb
import pytest
from local_bigquery import errors

from ingest.local.bigquery_corrections import with_own_troubles


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            duckdb.TransactionException("TransactionContext Error: Conflict on commit"),
            "backendError",
        ),
        (duckdb.IOException("IO Error: No space left on device"), "backendError"),
        (duckdb.DependencyException("Dependency Error: subject has been deleted"), "backendError"),
        (duckdb.FatalException("FATAL Error: database has been invalidated"), "backendError"),
        (duckdb.BinderException("Binder Error: aggregate in where"), "invalidQuery"),
        (duckdb.ConversionException("Conversion Error: bad cast"), "invalidQuery"),
        (duckdb.ConstraintException("Constraint Error: NOT NULL failed"), "invalidQuery"),
        (duckdb.InvalidInputException("Invalid Input Error: told by error()"), "invalidQuery"),
    ],
)
def test_only_what_a_query_does_wrong_is_its_fault(error: duckdb.Error, reason: str) -> None:
    assert with_own_troubles(errors.from_duckdb)(error).reason == reason
