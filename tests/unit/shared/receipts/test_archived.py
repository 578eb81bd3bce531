"""What a receipt counts as erased beyond its export."""

from types import SimpleNamespace
from typing import Any

from shared.receipts import archived


def test_rows_that_only_the_last_step_has_found_are_counted() -> None:
    """Of a table that had none before; the cache is not exported, so its keys are not."""
    steps: list[Any] = [
        SimpleNamespace(name="delete_records", removed={"Message": 2}),
        SimpleNamespace(name="confirm", removed={"Media": 1, "keys": 3}),
    ]

    found = archived.compose({"listed": {"Message": 2}, "leftOut": {}}, steps)

    assert found
    assert found["erased"] == {"Message": 2, "Media": 1}
    assert found["erasedBeyond"] == {"Media": 1}
