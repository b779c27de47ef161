"""The calls by which AWS is asked for a resource, made of the provider's inputs.

Every input goes into a call, or stands in ``NOT_SENT`` with the reason why it does not.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from localaws.apply import Recorded

ACCOUNT: Final = "123456789012"
_KEY: Final = re.compile(r":key/key-\w+")
"""A key's ARN as renderings have it, with its name for its id."""


class Call(NamedTuple):
    """A service's operation and its parameters."""

    service: str
    operation: str
    parameters: dict[str, Any]


class Inputs(Mapping[str, Any]):
    """A resource's inputs, whole numbers as such, that notes which of them are taken."""

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self._inputs = {key: whole(value) for key, value in inputs.items()}
        self.left = set(self._inputs)

    def __getitem__(self, key: str) -> Any:
        self.left.discard(key)
        return self._inputs[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)

    def given(self, **parameters: str) -> dict[str, Any]:
        """Parameters from inputs by name, of those that are given."""
        return {name: self[key] for name, key in parameters.items() if key in self}

    def rest(self) -> dict[str, Any]:
        """What was not taken yet, under the names that AWS has for it."""
        found: dict[str, Any] = pascal({key: self[key] for key in sorted(self.left)})
        return found


Make = Callable[[Inputs], Iterator[Call]]
CALLS: Final[dict[str, Make]] = {}
WITHOUT_CALL: Final = {
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": (
        "taken over, not made: the provider revokes the rules that AWS gave it"
    ),
}
NOT_SENT: Final = {
    ("aws:s3/bucket:Bucket", "forceDestroy"): "what the provider does at its end",
    ("aws:athena/workgroup:Workgroup", "forceDestroy"): "what the provider does at its end",
    ("aws:kms/key:Key", "deletionWindowInDays"): "sent when the key is deleted, checked there",
}


def calls(resource: Recorded) -> list[Call]:
    """The calls of a resource; KeyError for an unknown type, ValueError for an unsent input."""
    inputs = Inputs(resource.inputs)
    made = list(CALLS[resource.type](inputs))
    unsent = {key for key in inputs.left if (resource.type, key) not in NOT_SENT}
    if unsent:
        raise ValueError(f"{resource.type} {resource.name!r}: {sorted(unsent)} go into no call")
    return made


def makes(kind: str) -> Callable[[Make], Make]:
    """Register how a type such as ``aws:s3/bucket:Bucket`` is made."""

    def register(make: Make) -> Make:
        CALLS[kind] = make
        return make

    return register


def pascal(value: Any) -> Any:
    """The same with every key beginning in upper case, as most services write theirs."""
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: pascal(item) for key, item in value.items()}
    return [pascal(item) for item in value] if isinstance(value, list) else value


def whole(value: Any) -> Any:
    """The value as AWS is sent it: whole numbers, which arrive as floats, and keys' real ids."""
    if isinstance(value, str):
        return _KEY.sub(f":key/{UUID(int=0)}", value)
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def pairs(given: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """A map as the list of pairs that older services take."""
    return [{key: name, value: text} for name, text in given.items()]


def plain(service: str, operation: str, **names: str) -> Make:
    """One call that takes the inputs as they are, but for those of another name."""

    def make(i: Inputs) -> Iterator[Call]:
        renamed = i.given(**names)
        yield Call(service, operation, renamed | i.rest())

    return make


def tagged(service: str, operation: str, type_: str, **names: str) -> Make:
    """One call of EC2, with the tags that a thing of this type gets."""

    def make(i: Inputs) -> Iterator[Call]:
        tags = [{"ResourceType": type_, "Tags": pairs(i["tags"])}]
        yield Call(service, operation, {"TagSpecifications": tags} | i.given(**names) | i.rest())

    return make


def body(i: Inputs) -> Iterator[Call]:
    """An object's put."""
    content = base64.b64decode(i["contentBase64"])
    yield Call("s3", "PutObject", {"Body": content} | i.rest())


CALLS["aws:s3/bucketObjectv2:BucketObjectv2"] = body
