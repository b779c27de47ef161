"""Nexmark-like bids, made once and kept as the records of GetRecords answers.

One file holds the encoded records one after the other, so that any run of them is a slice of it: a
page of any length, a shard of any share, without encoding anything twice.
"""

from __future__ import annotations

import binascii
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

MALFORMED: Final = 0.01
REPEATED: Final = 0.02
_REPEATED_WITHIN: Final = 1000
_SEQUENCE_DIGITS: Final = 54
_EVENT_START: Final = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
_BATCH: Final = 50_000


class Spec(msgspec.Struct, frozen=True):
    """Which bids: how many of what size, and when they arrive.

    The first record of each lane arrives at ``start`` (seconds since 1970), the others ``step``
    seconds apart; lanes are equal shares of the file.
    """

    records: int
    size: int
    start: float
    step: float
    lanes: int = 1
    seed: int = 2026


class Bids(msgspec.Struct, frozen=True):
    """The bids of a spec, on disk."""

    folder: str
    spec: Spec
    payload_bytes: int
    malformed: int
    repeated: int

    @property
    def path(self) -> Path:
        """The encoded records."""
        return Path(self.folder, "records")

    def offsets(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Where each record begins in the file, and where the last one ends."""
        return np.load(Path(self.folder, "offsets.npy"))  # type: ignore[no-any-return]

    def arrivals(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """When each record arrives, in seconds since 1970."""
        each = self.spec.records // self.spec.lanes
        within = np.arange(self.spec.records) % each
        return np.round(self.spec.start + within * self.spec.step, 3)


def sequence(number: int) -> str:
    """The sequence number of a record, as long as Kinesis has them."""
    return f"49{number:0{_SEQUENCE_DIGITS}d}"


def number_of(sequence_number: str) -> int:
    """The record that a sequence number is of."""
    return int(sequence_number[2:])


def payloads(spec: Spec) -> Iterator[tuple[bytes, str]]:
    """Each payload with what it is: ``good``, ``malformed`` or ``repeated``."""
    choose = random.Random(spec.seed)  # noqa: S311 - test data
    filling = choose.randbytes(1 << 16).hex()
    recent: list[bytes] = []
    rng = np.random.default_rng(spec.seed)
    when, at = "", -1
    for first in range(0, spec.records, _BATCH):
        count = min(_BATCH, spec.records - first)
        auctions = rng.integers(1000, 1_000_000, count).tolist()
        bidders = rng.integers(1000, 200_000, count).tolist()
        prices = rng.integers(1, 10_000_000, count).tolist()
        channels = rng.integers(0, 10_000, count).tolist()
        cuts = rng.integers(0, 100_000, count).tolist()
        lots = rng.random(count).tolist()
        for i, lot in enumerate(lots):
            if lot < REPEATED and recent:
                yield recent[cuts[i] % len(recent)], "repeated"
                continue
            seconds, millis = divmod(first + i, 1000)
            if seconds != at:
                at = seconds
                when = f"{datetime.fromtimestamp(_EVENT_START + seconds, UTC):%Y-%m-%dT%H:%M:%S}"
            head = (
                f'{{"auction":{auctions[i]},"bidder":{bidders[i]},"price":{prices[i]},'
                f'"channel":"channel-{channels[i]}","url":"https://www.nexmark.com/'
                f'{channels[i]:x}/item.htm?query=1&channel_id={channels[i]}",'
                f'"date_time":"{when}.{millis:03d}Z","extra":"'
            )
            need = max(0, spec.size - len(head) - 2)
            payload = f'{head}{filling[cuts[i] : cuts[i] + need]}"}}'.encode()
            if lot > 1 - MALFORMED:
                yield payload[: 1 + cuts[i] % (len(payload) - 2)], "malformed"
                continue
            recent.append(payload)
            if len(recent) > 2 * _REPEATED_WITHIN:
                del recent[:_REPEATED_WITHIN]
            yield payload, "good"


def make(spec: Spec, home: Path) -> Bids:
    """The bids of a spec below ``home``; made when they are not there yet."""
    folder = home / f"bids-{hash_of(spec)}"
    about = folder / "bids.json"
    if about.exists():
        return msgspec.json.decode(about.read_bytes(), type=Bids)
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"good": 0, "malformed": 0, "repeated": 0}
    each = spec.records // spec.lanes
    ends = np.zeros(spec.records + 1, np.int64)
    end = size = 0
    with (folder / "records").open("wb", buffering=1 << 20) as file:
        for number, (payload, kind) in enumerate(payloads(spec)):
            counts[kind] += 1
            size += len(payload)
            arrival = spec.start + number % each * spec.step
            end += file.write(
                b'{"Data":"%b","PartitionKey":"%d","SequenceNumber":"49%054d",'
                b'"ApproximateArrivalTimestamp":%.3f},'
                % (
                    binascii.b2a_base64(payload, newline=False),
                    number % 997,
                    number,
                    arrival,
                )
            )
            ends[number + 1] = end
    np.save(folder / "offsets.npy", ends)
    bids = Bids(str(folder), spec, size, counts["malformed"], counts["repeated"])
    # Last, and at once: what this file describes is complete.
    draft = about.with_suffix(f".{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(bids))
    draft.rename(about)
    return bids


def hash_of(spec: Spec) -> str:
    """A name for a spec's files."""
    return f"{binascii.crc32(msgspec.json.encode(spec)):08x}"
