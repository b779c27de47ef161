"""What is written down about a local estate: ports, prefix, processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from localaws.processes import Process


class State(msgspec.Struct, frozen=True):
    """A started estate; ``ready`` once the Pulumi program was applied to it."""

    prefix: str
    emulator_port: int
    gateway_port: int
    gateway: Process
    emulator: Process
    ready: bool = False


class Store:
    """The files below an estate's home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.logs = home / "logs"
        self.runs = home / "runs"
        self.data = home / "data"
        self._state = home / "state.json"
        # There while an emulator runs whose state is in memory only.
        self._unsaved = home / "data" / "unsaved"

    def read(self) -> State | None:
        """The state as written; None when there is none that can be read."""
        with suppress(FileNotFoundError, msgspec.DecodeError):
            return msgspec.json.decode(self._state.read_bytes(), type=State)
        return None

    def write(self, state: State) -> None:
        """Replace the state in one step."""
        draft = self._state.with_suffix(f".{os.getpid()}")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(state)) + b"\n")
        draft.replace(self._state)

    def forget(self) -> None:
        """Remove the state."""
        self._state.unlink(missing_ok=True)

    @property
    def unsaved(self) -> bool:
        """Whether the last emulator ended without saving, so that its data are of two ages."""
        return self._unsaved.exists()

    def mark_unsaved(self) -> None:
        """An emulator starts to work on the data."""
        self._unsaved.parent.mkdir(parents=True, exist_ok=True)
        self._unsaved.touch()

    def mark_saved(self) -> None:
        """The emulator has saved everything."""
        self._unsaved.unlink(missing_ok=True)

    def runs_left(self) -> list[Process]:
        """Leaders of Glue runs that were not seen to end."""
        found = []
        for record in self.runs.glob("*.pid"):
            with suppress(FileNotFoundError, msgspec.DecodeError):
                found.append(msgspec.json.decode(record.read_bytes(), type=Process))
        return found

    def forget_runs(self) -> None:
        """Remove the records of runs."""
        for record in self.runs.glob("*.pid"):
            record.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One command at a time works on this home."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
