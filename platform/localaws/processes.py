"""Processes of the local estate: known by id and start time, ended with all they have started."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress

import msgspec
import psutil

from lakehouse.errors import EstateError


class Process(msgspec.Struct, frozen=True):
    """A process that was seen alive; ``started`` (seconds since 1970) tells it from a later one."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this id now."""
        return cls(pid, psutil.Process(pid).create_time())

    def alive(self) -> bool:
        """Whether that very process still runs."""
        try:
            found = psutil.Process(self.pid)
            return (
                abs(found.create_time() - self.started) < 1
                and found.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False

    def end(self, grace: float) -> bool:
        """Ask it to end, kill it after ``grace`` seconds; True: it ended when it was asked."""
        if not self.alive():
            return True
        found = psutil.Process(self.pid)
        with suppress(psutil.NoSuchProcess):
            found.terminate()
        _, left = psutil.wait_procs([found], timeout=grace)
        return not _kill(left)

    def end_session(self, grace: float) -> None:
        """End the session that this process leads or led: workers that outlive it, too.

        Killing the process group alone is not enough: PySpark's worker daemon leaves the group.
        """
        members = self._session()
        for member in members:
            with suppress(psutil.NoSuchProcess):
                member.terminate()
        psutil.wait_procs(members, timeout=grace)
        _kill(self._session())

    def _session(self) -> list[psutil.Process]:
        if psutil.pid_exists(self.pid) and not self.alive() and not self._is_zombie():
            return []  # the id was given to somebody else, so the session is empty
        members = []
        for candidate in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
                if os.getsid(candidate.pid) == self.pid and candidate.pid != os.getpid():
                    members.append(candidate)
        return members

    def _is_zombie(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.pid)
            return abs(found.create_time() - self.started) < 1
        return False


def _kill(processes: list[psutil.Process]) -> list[psutil.Process]:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=5)
    return processes


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def claim_port(port: int) -> int:
    """The port that was asked for; raises EstateError when somebody listens on it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise EstateError(
                f"port {port} cannot be used ({error.strerror}); give another one, or none for a "
                "free one"
            ) from error
    return port
