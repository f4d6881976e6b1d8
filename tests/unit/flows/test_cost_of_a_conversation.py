"""What one further conversation of a push costs; the script shows between which modules."""

from __future__ import annotations

from tests.benchmarks.cross_module_calls import FILES, MOST_CALLS, of_one_more


def test_a_file_is_read_decoded_validated_and_hashed_once_in_each_of_two_passes() -> None:
    found = of_one_more()

    assert found.work == {
        "reads": 2 * FILES,
        "decodings": 2 * FILES,
        "validations": 2 * FILES,
        "hashes": 2 * FILES,
    }
    assert 0 < found.calls.total() <= MOST_CALLS
