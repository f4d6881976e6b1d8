"""A rule of dbt-score in place of its own: the test `key` says that a column is unique."""

from dbt_score import Model, RuleViolation, rule
from dbt_score.rules.filters import is_table


@rule(rule_filters={is_table()})
def key_has_a_test(model: Model) -> RuleViolation | None:
    """A primary key has the test `key`."""
    untested = [
        column.name
        for column in model.columns
        if any(constraint.type == "primary_key" for constraint in column.constraints)
        and not any(test.type == "key" for test in column.tests)
    ]
    return RuleViolation(f"No test of the key {', '.join(untested)}.") if untested else None
