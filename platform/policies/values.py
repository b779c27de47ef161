"""A resource's values as a rule may look at them, some of which a preview cannot know yet."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from lakehouse.errors import EstateError


@dataclass(frozen=True)
class Unknown:
    """A value that is known only once the resource is there; ``path`` says where it stands."""

    path: str


class UndecidedError(EstateError):
    """A rule looked at a value that is not known yet: it can say neither yes nor no."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is not known before the resource is there; judge it after that")
        self.path = path


class Values(Mapping[str, Any]):
    """Values by name: what is empty is not there, what is unknown may not be looked at.

    A provider answers with an empty text or list where nothing was asked for.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = {
            key: value for key, value in given.items() if value is not None and not _bare(value)
        }

    def __getitem__(self, key: str) -> Any:
        return _seen(self._given[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def texts(self, but: Collection[str] = ()) -> Iterator[str]:
        """Every text that is known, however deep, but not those below some of the names."""
        return texts({key: value for key, value in self._given.items() if key not in but})


class Items(Sequence[Any]):
    """Values in a row: how many there are is known, though one of them may not be."""

    def __init__(self, given: Sequence[Any]) -> None:
        self._given = given

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Items: ...
    def __getitem__(self, index: int | slice) -> Any:
        return _seen(self._given[index])

    def __len__(self) -> int:
        return len(self._given)


def _bare(value: object) -> bool:
    return isinstance(value, str | list | tuple | Mapping) and not value


def _seen(value: Any) -> Any:
    if isinstance(value, Unknown):
        raise UndecidedError(value.path)
    if isinstance(value, Mapping):
        return Values(value)
    if isinstance(value, list | tuple):
        return Items(value)
    return value


def texts(value: object) -> Iterator[str]:
    """Every text in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)
