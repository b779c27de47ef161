"""What an acceptance leaves behind: each step with what was asked and answered, never a secret.

The file is whole after every step, so that one that was cut short is evidence too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

Outcome = Literal["passed", "failed", "not asked", "interrupted", "under way", "not run"]
Facts = Mapping[str, Any]


class StepEvidence(msgspec.Struct, kw_only=True):
    """One step: ``asked`` is what should hold, ``facts`` what AWS answered."""

    name: str
    asked: str
    outcome: Outcome = "not run"
    began: datetime | None = None
    ended: datetime | None = None
    said: str = ""
    """In one line: what was seen, why it failed and what to do, or why it was not asked."""
    facts: Facts = {}


class Evidence(msgspec.Struct, kw_only=True):
    """A whole run."""

    stack: str
    run: str
    prefix: str
    region: str
    account: str
    versions: Mapping[str, str]
    began: datetime
    ended: datetime | None = None
    steps: list[StepEvidence]
    left: str = ""
    """How the stack was left, where that is not what its file says."""

    @property
    def accepted(self) -> bool:
        """Whether everything was asked for that can be asked, and held."""
        return self.ended is not None and all(
            step.outcome in {"passed", "not asked"} for step in self.steps
        )

    @property
    def verdict(self) -> str:
        """The run in a few words."""
        counts = {o: sum(s.outcome == o for s in self.steps) for o in _ORDER}
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        return f"{'accepted' if self.accepted else 'not accepted'}: {told}"


_ORDER: Final[tuple[Outcome, ...]] = (
    "passed",
    "failed",
    "interrupted",
    "under way",
    "not run",
    "not asked",
)


class EvidenceFolder:
    """``evidence.json`` and ``evidence.md`` of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = _secrets(os.environ)

    def write(self, evidence: Evidence) -> None:
        """Replace both files, each in one step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told = msgspec.to_builtins(evidence) | {
            "verdict": evidence.verdict,
            "accepted": evidence.accepted,
        }
        clean = redacted(told, self.secrets)
        self._replace("evidence.json", msgspec.json.format(msgspec.json.encode(clean)).decode())
        shown = msgspec.convert(clean, Evidence)
        self._replace("evidence.md", markdown(shown))

    def _replace(self, name: str, text: str) -> None:
        draft = self.folder / f".{name}"
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(self.folder / name)


_HIDDEN: Final = "<hidden>"
_SECRET_KEY: Final = re.compile(
    r"secret(?!_arn|s?_?name)|password|passphrase|token|credential|authorization|private_?key",
    re.IGNORECASE,
)
_SECRET_TEXT: Final = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"  # access keys
    r"|(?<=[?&]X-Amz-Signature=)[0-9a-f]+"
    r"|(?<=[?&]X-Amz-Security-Token=)[^&\s\"]+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # name and password of an address
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"  # web tokens
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def redacted(value: Any, secrets: tuple[str, ...] = ()) -> Any:
    """A value without secrets: under a key that names one, of a known form, or known ones."""
    if isinstance(value, Mapping):
        return {
            key: _HIDDEN if _SECRET_KEY.search(str(key)) else redacted(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(item, secrets) for item in value]
    if isinstance(value, str):
        text = _SECRET_TEXT.sub(_HIDDEN, value)
        for secret in secrets:
            text = text.replace(secret, _HIDDEN)
        return text
    return value


def _secrets(env: Mapping[str, str]) -> tuple[str, ...]:
    """Values of the environment that are secrets by their names; short words are none."""
    return tuple(value for key, value in env.items() if _SECRET_KEY.search(key) and len(value) >= 8)


def markdown(evidence: Evidence) -> str:
    """The evidence to be read."""
    rows = [
        f"| {step.name} | {step.outcome} | {_seconds(step)} | {_cell(step.said)} |"
        for step in evidence.steps
    ]
    lines = [
        f"# Acceptance of the stack {evidence.stack}",
        "",
        f"**{evidence.verdict}**",
        "",
        f"Run `{evidence.run}`, {_time(evidence.began)} to {_time(evidence.ended)}.",
        f"Prefix `{evidence.prefix}`, account {evidence.account}, region {evidence.region}.",
        "",
        ", ".join(f"{name} {version}" for name, version in evidence.versions.items()),
        *(["", f"**The stack was left otherwise than its file says:** {evidence.left}"]
          if evidence.left else []),
        "",
        "| step | outcome | seconds | |",
        "|---|---|---|---|",
        *rows,
    ]  # fmt: skip
    for step in evidence.steps:
        if step.outcome == "not run":
            continue
        facts = msgspec.json.format(msgspec.json.encode(step.facts)).decode()
        lines += ["", f"## {step.name}: {step.outcome}", "", f"{step.asked}.", ""]
        lines += [step.said, ""] if step.said else []
        lines += [f"{_time(step.began)} to {_time(step.ended)}"]
        lines += ["", "```json", facts, "```"] if step.facts else []
    return "\n".join(lines)


def _seconds(step: StepEvidence) -> str:
    if step.began is None or step.ended is None:
        return ""
    return f"{(step.ended - step.began).total_seconds():.0f}"


def _time(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "?"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
