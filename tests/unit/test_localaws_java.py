"""Which Java Spark is given."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lakehouse.errors import EstateError
from localaws import java


def fake_java(folder: Path, version: str) -> Path:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    return folder


def no_wheel(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(java, "_wheel", lambda: None)


def test_a_supported_java_home_is_taken(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "jdk", "21.0.1")
    assert java.java_home(tmp_path, {"JAVA_HOME": str(home), "PATH": ""}) == home


def test_the_path_is_next_when_java_home_is_too_new(tmp_path: Path) -> None:
    new, old = fake_java(tmp_path / "new", "25"), fake_java(tmp_path / "old", "17.0.15")
    env = {"JAVA_HOME": str(new), "PATH": str(old / "bin")}
    assert java.java_home(tmp_path, env) == old


def test_without_any_the_message_says_what_was_found_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_wheel(monkeypatch)
    new = fake_java(tmp_path / "new", "25")
    with pytest.raises(EstateError, match=r"is Java 25\); it runs on Java 17 or 21: install one"):
        java.java_home(tmp_path, {"JAVA_HOME": str(new), "PATH": ""})


def test_the_wheel_is_wrapped_to_drop_the_module_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "wheel-java"
    wheel.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    wheel.chmod(0o755)
    monkeypatch.setattr(java, "_wheel", lambda: wheel)
    monkeypatch.setattr(java, "_trust_store", lambda: None)
    home = java.java_home(tmp_path / "cache", {"PATH": ""})
    asked = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "a b", ""]
    done = subprocess.run(
        [home / "bin" / "java", *asked], capture_output=True, text=True, check=True
    )
    assert done.stdout == "-Xmx1g\na b\n\n"
