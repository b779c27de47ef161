"""The readable rendering of a stack that is kept under ``tests/golden/estate``, to be reviewed.

Each resource stands under its type and name with its inputs, its parent and how it is protected.
What follows from the content of a release alone (hashes, objects' bodies) is left out, so that a
change of the library's code does not change it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from localaws.apply import CONTRACTS, ROOT, Recorded, render

FOLDER: Final = ROOT / "tests" / "golden" / "estate"
STACKS: Final = ("local", "dev", "staging", "prod")
_HASH: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_CONTENT: Final = "<content>"


def golden(resources: Sequence[Recorded]) -> str:
    """The resources as YAML, sorted by type and name."""
    documents = {f"{r.type} {_settled(r.name)}": _resource(r) for r in resources}
    if len(documents) != len(resources):
        raise ValueError("two resources have one type and name; give one of them another name")
    return "\n".join(
        yaml.dump({title: documents[title]}, Dumper=_Dumper, width=100, allow_unicode=True)
        for title in sorted(documents)
    )


def write(folder: Path = FOLDER, contracts: Path = CONTRACTS) -> list[Path]:
    """Write every stack's rendering into a folder; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for stack in STACKS:
        files.append(folder / f"{stack}.yaml")
        files[-1].write_text(golden(render(stack, contracts)), encoding="utf-8")
    return files


def _resource(resource: Recorded) -> dict[str, Any]:
    found: dict[str, Any] = {"parent": resource.parent}
    if resource.protect:
        found["protect"] = True
    if resource.retain:
        found["retain_on_delete"] = True
    return found | {"inputs": _plain(resource.inputs)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _CONTENT if key == "contentBase64" else _plain(item)
            for key, item in sorted(value.items())
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> Any:
    """Policies and other documents are shown as what they say, not as JSON in a string."""
    if value.startswith(("{", "[")):
        try:
            return _plain(json.loads(value))
        except ValueError:
            pass
    return _settled(value)


def _settled(text: str) -> str:
    return _HASH.sub("<hash>", text)


class _Dumper(yaml.SafeDumper):
    """Block style, and no references between equal parts."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - the base class's own
        super().increase_indent(flow, indentless=False)


def main() -> None:
    """Write the rendering of every stack."""
    argparse.ArgumentParser(prog="python -m localaws.golden", description=main.__doc__).parse_args()
    for path in write():
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
