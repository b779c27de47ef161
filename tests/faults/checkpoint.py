"""What may become of Spark's checkpoint, and the query that kept it fails and starts again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from faults.bench import DATASET, Bench, Fault, Injected, NotInjectedError


def _checkpoint(bench: Bench) -> Path:
    """Of the running query; each start makes one."""
    found = sorted(
        bench.job.scratch.glob(f"checkpoint-{DATASET}-*"), key=lambda path: path.stat().st_mtime
    )
    if not found:
        raise NotInjectedError(f"no checkpoint below {bench.job.scratch}")
    return found[-1]


def _newest(checkpoint: Path, log: str) -> list[Path]:
    """The entries of one of its logs, newest first."""
    entries = [path for path in (checkpoint / log).iterdir() if path.name.isdigit()]
    return sorted(entries, key=lambda path: int(path.name), reverse=True)


def _forget(checkpoint: Path, _: Random) -> None:
    shutil.rmtree(checkpoint, ignore_errors=True)


def _empty(log: str) -> Callable[[Path, Random], None]:
    def empty(checkpoint: Path, _: Random) -> None:
        for entry in _newest(checkpoint, log)[:1]:
            entry.write_bytes(b"")
            entry.with_name(f".{entry.name}.crc").unlink(missing_ok=True)

    return empty


def _roll_back(checkpoint: Path, random: Random) -> None:
    batches = random.randint(1, 5)
    doomed = _newest(checkpoint, "commits")[:batches]
    doomed += _newest(checkpoint, "offsets")[: batches - random.randint(0, 1)]
    for entry in doomed:
        entry.unlink()


def _fault(name: str, damage: Callable[[Path, Random], None]) -> Fault:
    def inject(bench: Bench, random: Random) -> Injected:
        checkpoint = _checkpoint(bench)
        bench.traffic.send(bench.per_fault)
        injected = bench.now()
        damage(checkpoint, random)
        bench.job.kill_source()
        return injected

    return Fault("checkpoint", name, inject)


CHECKPOINT_FAULTS = (
    _fault("checkpoint deleted", _forget),
    _fault("checkpoint: last offsets emptied", _empty("offsets")),
    _fault("checkpoint: last commit emptied", _empty("commits")),
    _fault("checkpoint rolled back", _roll_back),
)
