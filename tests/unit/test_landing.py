"""What is to land: the listing less the ledger, shared out to tasks, sets by their manifest."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.memory import MemoryStore

from lakehouse.contracts.model import FileFormat
from lakehouse.errors import LedgerError
from lakehouse.ingestion.ledger import Ledger, ObjectRef, ordered_name
from lakehouse.ingestion.manifest import (
    Listed,
    ManifestError,
    is_manifest,
    lacking,
    parse_manifest,
)
from lakehouse.ingestion.splits import into_parts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = st.text(min_size=1, max_size=8).filter(lambda s: s.isprintable())


def ref(key: str, version: str = "v", size: int = 1, etag: str = "") -> ObjectRef:
    return ObjectRef(key, version, size, NOW, etag)


@given(KEYS, KEYS)
def test_names_in_the_ledger_sort_as_their_keys(one: str, two: str) -> None:
    first, second = (f"{ordered_name(key)}!v" for key in (one, two))
    assert (one.encode() < two.encode()) == (first < second)
    assert (one == two) == (first == second)
    assert first.isascii()


@given(st.lists(st.tuples(KEYS, st.sampled_from("abc"))), st.data())
def test_what_has_landed_is_known_whatever_it_is_called(
    pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    there = sorted({ref(*pair) for pair in pairs}, key=lambda r: (r.key.encode(), r.version))
    done = [r for r in there if data.draw(st.booleans())]
    ledger = Ledger(MemoryStore(), "d")
    ledger.mark_landed(tuple(done))
    ledger.mark_landed((ref("\x00gone"), ref("zzz gone")))
    assert list(ledger.not_landed(there)) == [r for r in there if r not in done]


def test_a_listing_out_of_order_is_refused() -> None:
    ledger = Ledger(MemoryStore(), "d")
    with pytest.raises(LedgerError, match="expected the keys in order"):
        list(ledger.not_landed([ref("b"), ref("a")]))


def test_entries_of_another_form_are_refused() -> None:
    store = MemoryStore()
    store.put_if_absent("d/landed/d%2Fa/v", b"{}")
    with pytest.raises(LedgerError, match="objects would land twice"):
        list(Ledger(store, "d").not_landed([ref("d/a")]))


def test_objects_that_were_marked_are_not_marked_again() -> None:
    store = MemoryStore()
    objects = tuple(ref(str(n)) for n in range(3))
    Ledger(store, "d").mark_landed(objects)
    before = dict(store.objects)
    store.put_if_absent = lambda *_: pytest.fail("put again")  # type: ignore[method-assign]
    Ledger(store, "d").mark_landed(objects)
    assert store.objects == before


def test_large_objects_are_split_and_small_ones_go_together() -> None:
    lines = FileFormat(type="csv", multiline=False)
    objects = [ref("a", size=4), ref("b", size=25), ref("c", size=5), ref("d.gz", size=25)]
    parts = list(into_parts(objects, lines, 10))
    assert [[(o.key, o.first, o.last) for o in part.objects] for part in parts] == [
        [("a", 0, None)],
        [("b", 0, 10)],
        [("b", 10, 20)],
        [("b", 20, 25), ("c", 0, None)],
        [("d.gz", 0, None)],
    ]
    many = [ref(str(n), size=0) for n in range(2500)]
    assert [len(part.objects) for part in into_parts(many, lines)] == [1000, 1000, 500]


@pytest.mark.parametrize(
    ("key", "pattern", "yes"),
    [
        ("d/x/_manifest.json", "_manifest.json", True),
        ("d/x/1.manifest", "*.manifest", True),
        ("d/x/1.csv", "*.manifest", False),
        ("d/x/1.manifest", "x/*.manifest", True),
        ("d/y/1.manifest", "x/*.manifest", False),
    ],
)
def test_a_manifest_is_known_by_its_name(key: str, pattern: str, *, yes: bool) -> None:
    assert is_manifest(key, "d", pattern) == yes


@pytest.mark.parametrize(
    "body",
    [
        b'["a.csv", "sub/b.csv"]',
        b'[{"name": "a.csv"}, {"name": "sub/b.csv", "more": 1}]',
        b'{"files": [{"name": "a.csv"}, "./sub/b.csv"]}',
        b"\xef\xbb\xbfa.csv\r\n\r\nsub/b.csv\r\n",
    ],
)
def test_what_a_manifest_names_lies_beside_it(body: bytes) -> None:
    assert list(parse_manifest(body, "d/x/m", "d")) == ["d/x/a.csv", "d/x/sub/b.csv"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'["a"', "not a manifest"),
        (b'{"file": []}', "missing required field `files`"),
        (b"[1]", "not a manifest"),
        (b"\xff\xfe", "not a manifest"),
        (b"../../other/a", "expected files below d/"),
        (b"/d/a", "expected files below d/"),
        (b"m", "expected files below d/"),
        (b'[{"name": "a", "size": 1}, {"name": "a", "size": 2}]', "twice"),
    ],
)
def test_a_manifest_that_cannot_be_followed_says_why(body: bytes, says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        parse_manifest(body, "d/x/m", "d")


def test_a_set_says_what_it_lacks() -> None:
    listed = {f"d/{n}": Listed(str(n), size=n, etag="e") for n in range(8)}
    assert lacking(listed, {}) == "8 of 8 files are missing: 0, 1, 2, 3, 4 and 3 more"
    there = {key: ref(key, size=entry.size or 0, etag="e") for key, entry in listed.items()}
    assert lacking(listed, there) is None
    wrong = lacking(listed, there | {"d/3": ref("d/3", size=4, etag="e")})
    assert wrong is not None
    assert wrong.startswith("3 has 4 bytes, the manifest says 3; send the file again")
    other = lacking(listed, there | {"d/3": ref("d/3", size=3, etag="f")})
    assert other is not None
    assert "3 has the ETag f, the manifest says e" in other
