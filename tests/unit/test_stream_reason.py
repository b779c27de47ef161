from __future__ import annotations

import pytest

from lakehouse.stream import reason

OURS = """[STREAM_FAILED] Query [id = 1] terminated with exception: Job aborted
Traceback (most recent call last):
  File "worker.py", line 1, in main
botocore.errorfactory.ResourceNotFoundException: An error occurred
lakehouse.errors.EstateError: no stream x; deploy the estate

SQLSTATE: XXKST"""
THEIRS = """[STREAM_FAILED] Query terminated with exception: x
pyarrow.lib.ArrowInvalid: too big
ValueError: not a number
SQLSTATE: XXKST"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (OURS, "no stream x; deploy the estate"),
        (THEIRS, "ValueError: not a number"),
        ("Query terminated\nand more", "Query terminated"),
        ("", "no message"),
    ],
)
def test_the_reason_is_the_last_error_that_says_something(text: str, line: str) -> None:
    assert reason(text) == line
