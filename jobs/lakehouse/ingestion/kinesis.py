"""The few Kinesis calls that ingestion makes of one stream, with their answers typed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

import msgspec
from botocore.exceptions import ClientError

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import DataLossError, EstateError, TransientError
from lakehouse.ingestion.ledger import Position
from lakehouse.store import NO_ANSWER

_T = TypeVar("_T")

PAGE_RECORDS: Final = 10_000
"""The most records that GetRecords answers with."""
_LISTED: Final = 10_000
"""The most shards that ListShards answers with at once."""


class Record(msgspec.Struct, gc=False):
    """One record as GetRecords has it; the instant is in seconds since 1970."""

    Data: bytes
    PartitionKey: str
    SequenceNumber: str
    ApproximateArrivalTimestamp: float


class Page(msgspec.Struct):
    """One answer of GetRecords; ``NextShardIterator`` is None at the end of a closed shard."""

    Records: list[Record]
    NextShardIterator: str | None = None
    MillisBehindLatest: int = 0


class ThrottledError(TransientError):
    """The stream refuses more reads for now; what was read so far is good."""


class ExpiredIteratorError(TransientError):
    """A shard iterator was held longer than it lives; one from the last position goes on."""


class ShardGoneError(DataLossError):
    """The stream no longer lists a shard that was not read to its end."""


_decode_page = msgspec.json.Decoder(Page).decode
_ERRORS: Final[dict[str, type[TransientError]]] = {
    "ProvisionedThroughputExceededException": ThrottledError,
    "LimitExceededException": ThrottledError,
    "KMSThrottlingException": ThrottledError,
    "ThrottlingException": ThrottledError,
    "ExpiredIteratorException": ExpiredIteratorError,
    "InternalFailure": TransientError,
    "ServiceUnavailable": TransientError,
}


def _keep_raw(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    # boto3's own parser manages 59,000 records a second, msgspec two million.
    if response_dict["status_code"] == 200:
        customized_response_dict["Raw"] = response_dict["body"]
        response_dict["body"] = b"{}"


def _typed(call: Callable[..., _T]) -> Callable[..., _T]:
    """The call with AWS's errors as the platform's, once boto3 has tried often enough."""

    @functools.wraps(call)
    def typed(self: Stream, *args: Any, **kwargs: Any) -> _T:
        try:
            return call(self, *args, **kwargs)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ResourceNotFoundException":
                raise EstateError(
                    f"no stream {self.name}; deploy the estate with the contract that declares it"
                ) from error
            if code not in _ERRORS:
                raise
            raise _ERRORS[code](f"stream {self.name}: {error}") from error
        except NO_ANSWER as error:
            raise TransientError(f"stream {self.name}: no answer ({error})") from error

    return typed


class Stream:
    """A dataset's stream: the estate's own, or the one that its contract names.

    Each method raises EstateError when there is no such stream, ThrottledError and
    ExpiredIteratorError when Kinesis says so, and TransientError for want of an answer.
    """

    def __init__(self, client: Any, name: str, arn: str | None = None) -> None:
        self.name = name
        self._client = client
        self._which = {"StreamARN": arn} if arn else {"StreamName": name}
        client.meta.events.register(
            "before-parse.kinesis.GetRecords", _keep_raw, unique_id="lakehouse-raw-pages"
        )

    @classmethod
    def of(cls, aws: Aws, contract: Contract) -> Stream:
        """The stream of a contract, read under its role where it is another account's."""
        source = contract.stream
        client = aws.client("kinesis", source.role)
        if source.arn is None:
            return cls(client, aws.stream(contract.dataset))
        return cls(client, source.arn.rpartition("/")[2], source.arn)

    @_typed
    def retention(self) -> timedelta:
        """How long the stream keeps a record."""
        answer = self._client.describe_stream_summary(**self._which)
        return timedelta(hours=answer["StreamDescriptionSummary"]["RetentionPeriodHours"])

    @_typed
    def shards(self) -> dict[str, tuple[str, ...]]:
        """Every shard the stream lists, with its parents."""
        found: dict[str, tuple[str, ...]] = {}
        # boto3's paginator repeats the stream beside the token; Kinesis refuses (botocore#2009).
        which = {**self._which, "MaxResults": _LISTED}
        while which:
            answer = self._client.list_shards(**which)
            for shard in answer["Shards"]:
                parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
                found[shard["ShardId"]] = tuple(parent for parent in parents if parent)
            token = answer.get("NextToken")
            which = {"NextToken": token} if token else {}
        return found

    @_typed
    def iterator(self, shard: str, position: Position) -> str:
        """A shard iterator that begins at a position; ShardGoneError without such a shard."""
        starts: dict[str, dict[str, Any]] = {
            "after": {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": position.sequence,
            },
            "trim_horizon": {"ShardIteratorType": "TRIM_HORIZON"},
            "timestamp": {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": position.timestamp},
        }
        try:
            answer = self._client.get_shard_iterator(
                **self._which, ShardId=shard, **starts[position.kind]
            )
        except self._client.exceptions.ResourceNotFoundException as error:
            # Kinesis says the same of a stream that is not there, and that is what this one finds.
            kept = self.retention()
            raise ShardGoneError(
                f"shard {shard} of stream {self.name} is gone before it was read to its end; the "
                f"stream keeps records for {kept}. Send them again, or start the job with "
                "--accept-loss to go on without them"
            ) from error
        iterator: str = answer["ShardIterator"]
        return iterator

    @_typed
    def get(self, iterator: str, limit: int = PAGE_RECORDS) -> Page:
        """One page of records."""
        # The ARN routes a call to another account; the iterator alone says which stream it is of.
        which = {k: v for k, v in self._which.items() if k == "StreamARN"}
        answer = self._client.get_records(ShardIterator=iterator, Limit=limit, **which)
        return _decode_page(answer["Raw"])
