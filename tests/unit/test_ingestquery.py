from __future__ import annotations

import pytest

from lakehouse.ingestion.ingestquery import reason

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

CRASH = """[STREAM_FAILED] Query [id = 1] terminated with exception: An error occurred while calling
py4j.protocol.Py4JJavaError: An error occurred while calling o99.collectToPython.
: org.apache.spark.SparkException: Job aborted due to stage failure
\tat java.base/java.lang.Thread.run(Thread.java:840)
Caused by: org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)
Caused by: java.io.EOFException
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (OURS, "no stream x; deploy the estate"),
        (THEIRS, "ValueError: not a number"),
        (CRASH, "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)"),
        ("Query terminated\nand more", "Query terminated"),
        ("", "no message"),
    ],
)
def test_the_reason_is_the_last_error_that_says_something(text: str, line: str) -> None:
    assert reason(text) == line
