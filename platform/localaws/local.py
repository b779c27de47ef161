"""The estate on one machine: up, down, find."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import msgspec
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from lakehouse.errors import EstateError
from localaws.gluejob import Endpoints
from localaws.processes import Process, claim_port, free_port
from localaws.sparkenv import jars, launch_env
from localaws.state import State, Store
from localaws.supervisor import HEALTH

PREFIX: Final = "lakehouse-local"
STACK: Final = "local"
_START_TIMEOUT: Final = 90.0
"""Seconds; a start takes 1 to 2 on an idle machine."""
_STOP_GRACE: Final = 45.0
"""Seconds; Glue runs have 10 to end, the emulator 20 to save."""


class LocalEstate(msgspec.Struct, frozen=True):
    """A running estate."""

    home: Path
    emulator_url: str
    gateway_url: str
    prefix: str

    @property
    def env(self) -> dict[str, str]:
        """What a client has in its environment to reach this estate and nothing else."""
        return Endpoints(self.emulator_url, self.gateway_url, self.prefix).env


Build = Callable[[Path, LocalEstate], object]
"""Builds the estate from the contracts."""


def find(home: Path) -> LocalEstate | None:
    """The estate that runs on this home; None when none does, or not wholly."""
    store = Store(home.absolute())
    state = store.read()
    if state is None or not state.ready:
        return None
    if not (state.gateway.alive() and state.emulator.alive()):
        return None
    return _estate(store, state)


def up(
    home: Path,
    contracts: Path,
    report: Callable[[str], None],
    *,
    port: int | None = None,
    owner_pid: int | None = None,
    build: Build | None = None,
) -> LocalEstate:
    """Start the estate and build all that the Pulumi program declares.

    ``port`` is the gateway's, a free one by default; with ``owner_pid`` the estate ends with that
    process. ``build`` stands in for the Pulumi program. A running estate is left as it is. What was
    started is stopped when a step fails.
    Raises EstateError.
    """
    store = Store(home.absolute())
    with store.locked():
        if running := find(home):
            report(f"the local estate is already up at {running.gateway_url}")
            return running
        _sweep(store, report)
        report("preparing Spark")
        jars()
        launch_env()
        report("starting the emulator and the gateway")
        owner = Process.of(owner_pid) if owner_pid is not None else None
        state = _start(store, port, owner)
        try:
            report("building the estate")
            estate = _estate(store, state)
            (build or _apply)(contracts, estate)
            store.write(msgspec.structs.replace(state, ready=True))
        except BaseException:
            _stop(store, state)
            raise
        report(f"the local estate is up at {estate.gateway_url}")
        return estate


def down(home: Path) -> bool:
    """Stop everything that belongs to this home, state saved; False: there was nothing."""
    store = Store(home.absolute())
    if not store.home.is_dir():
        return False
    with store.locked():
        state = store.read()
        if state is None:
            return False
        _stop(store, state)
        return True


def _apply(contracts: Path, estate: LocalEstate) -> None:
    from localaws.apply import apply

    apply(STACK, contracts, estate.env)


def _estate(store: Store, state: State) -> LocalEstate:
    return LocalEstate(
        store.home,
        f"http://127.0.0.1:{state.emulator_port}",
        f"http://127.0.0.1:{state.gateway_port}",
        state.prefix,
    )


def _sweep(store: Store, report: Callable[[str], None]) -> None:
    """Clean up after an estate that did not come down by itself."""
    if state := store.read():
        report("cleaning up after an estate that was not brought down")
        _stop(store, state)
    if store.unsaved:
        # Objects are written at once, the catalog on a clean end only: they do not match now.
        lost = store.home / "data.unsaved"
        shutil.rmtree(lost, ignore_errors=True)
        store.data.rename(lost)
        report(f"the emulator was killed before it could save; starting empty, see {lost}")


def _start(store: Store, port: int | None, owner: Process | None) -> State:
    gateway_port = free_port() if port is None else claim_port(port)
    for folder in (store.logs, store.runs, store.data):
        folder.mkdir(parents=True, exist_ok=True)
    log = store.logs / "gateway.log"
    arguments = [
        f"--home={store.home}",
        f"--prefix={PREFIX}",
        f"--port={gateway_port}",
        f"--emulator-port={free_port()}",
    ]
    if owner is not None:
        arguments.append(f"--owner={msgspec.json.encode(owner).decode()}")
    process = _detached([sys.executable, "-m", "localaws.supervisor", *arguments], log)
    try:
        _wait_ready(process, gateway_port, log)
    except BaseException:
        process.end(_STOP_GRACE)
        raise
    state = store.read()
    assert state is not None  # noqa: S101  # written before the first answer
    return state


def _detached(command: list[str], log: Path) -> Process:
    """Start a process that outlives this one, in a session of its own."""
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return Process.of(pid)


def _wait_ready(process: Process, port: int, log: Path) -> None:
    def ask() -> None:
        if not process.alive():
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise EstateError(
                f"the gateway ended before it answered: {lines[-1] if lines else 'no output'}; "
                f"see {log}"
            )
        httpx.get(f"http://127.0.0.1:{port}{HEALTH}", timeout=2).raise_for_status()

    attempts = Retrying(
        stop=stop_after_delay(_START_TIMEOUT),
        wait=wait_fixed(0.05),
        retry=retry_if_exception_type(httpx.HTTPError),
    )
    try:
        attempts(ask)
    except RetryError as error:
        raise EstateError(
            f"the gateway did not answer within {_START_TIMEOUT:.0f} s; see {log}"
        ) from error


def _stop(store: Store, state: State) -> None:
    state.gateway.end(_STOP_GRACE)
    for leader in store.runs_left():
        leader.end_session(grace=5)
    store.forget_runs()
    # Only there when the gateway could not end it itself.
    if state.emulator.alive() and state.emulator.end(_STOP_GRACE):
        store.mark_saved()
    store.forget()
