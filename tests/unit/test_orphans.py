"""Which data files orphan removal takes away, and which it never touches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from support.memory import MemoryStore

from lakehouse.ingestion.ledger import Claim, ClaimedFile, Ledger, Part, Plan
from lakehouse.ingestion.orphans import MINIMUM_AGE, StoredFile, remove_orphans

NOW = datetime(2026, 1, 10, tzinfo=UTC)
OLD = NOW - MINIMUM_AGE - timedelta(seconds=1)


class Listing:
    """Data files in memory; ``after_listing`` happens once they are listed."""

    def __init__(self, *paths: str, modified: datetime = OLD) -> None:
        self.there = dict.fromkeys(paths, modified)
        self.after_listing: Callable[[], None] = lambda: None

    def files(self) -> list[StoredFile]:
        listed = [StoredFile(path, modified) for path, modified in self.there.items()]
        self.after_listing()
        return listed

    def remove(self, path: str) -> None:
        del self.there[path]


def ledger_with(*claimed: str) -> Ledger:
    """A ledger whose load 0 has two parts: the first claimed with these files, the other not."""
    ledger = Ledger(MemoryStore(), "d", sleep=lambda _: None)
    ledger.record_plan(Plan(load=0, made_at=NOW, parts=(Part(), Part())))
    if claimed:
        claim(ledger, 0, *claimed)
    return ledger


def claim(ledger: Ledger, part: int, *paths: str) -> None:
    files = tuple(ClaimedFile(path, 1, 1, 0, {}, {}, {}, {}, {}, {}, []) for path in paths)
    ledger.record_claim(
        Claim(load=0, part=part, files=files, good=len(files), rejected={}, payload_bytes=0)
    )


def nothing() -> list[str]:
    return []


def empty() -> int:
    """What a table says that holds no load."""
    return -1


def test_what_is_neither_claimed_nor_referenced_nor_young_goes() -> None:
    files = Listing("claimed", "claimed too", "referenced", "orphan")
    files.there["young"] = NOW - MINIMUM_AGE
    found = remove_orphans(
        ledger_with("claimed", "claimed too"), files, empty, lambda: ["referenced"], NOW
    )
    assert found.paths == ("orphan",)
    assert found.removed
    assert found.young == 1
    assert set(files.there) == {"claimed", "claimed too", "referenced", "young"}


def test_a_dry_run_says_the_same_and_removes_nothing() -> None:
    files = Listing("b", "a")
    found = remove_orphans(ledger_with(), files, empty, nothing, NOW, dry_run=True)
    assert found.paths == ("a", "b")
    assert not found.removed
    assert set(files.there) == {"a", "b"}


def test_a_file_claimed_while_the_removal_runs_is_kept() -> None:
    ledger, files = ledger_with("claimed"), Listing("claimed", "just claimed")
    files.after_listing = lambda: claim(ledger, 1, "just claimed")
    assert remove_orphans(ledger, files, empty, nothing, NOW).paths == ()


def test_a_file_referenced_while_the_removal_runs_is_kept() -> None:
    references: list[str] = []
    files = Listing("compacted")
    files.after_listing = lambda: references.append("compacted")
    assert remove_orphans(ledger_with(), files, empty, lambda: references, NOW).paths == ()


def test_a_file_written_after_the_listing_is_not_looked_at() -> None:
    files = Listing("orphan")
    files.after_listing = lambda: files.there.update(fresh=NOW)
    assert remove_orphans(ledger_with(), files, empty, nothing, NOW).paths == ("orphan",)
    assert set(files.there) == {"fresh"}


def test_an_age_that_a_running_task_may_have_is_refused() -> None:
    files = Listing("orphan")
    with pytest.raises(ValueError, match="a minimum age of 23:59:59 is too short"):
        remove_orphans(
            ledger_with(), files, empty, nothing, NOW, minimum_age=timedelta(days=1, seconds=-1)
        )
    assert set(files.there) == {"orphan"}
    remove_orphans(ledger_with(), files, empty, nothing, NOW, minimum_age=timedelta(days=1))
    assert files.there == {}


def test_a_file_of_a_published_load_goes_once_no_snapshot_has_it() -> None:
    """Compaction has replaced it; a claim of long ago does not keep it for ever."""
    ledger, files = ledger_with("replaced", "kept"), Listing("replaced", "kept")
    found = remove_orphans(ledger, files, lambda: 0, lambda: ["kept"], NOW)
    assert found.paths == ("replaced",)


def test_a_load_published_while_the_removal_runs_keeps_its_files() -> None:
    ledger, files = ledger_with("claimed"), Listing("claimed")
    references: list[str] = []
    files.after_listing = lambda: references.append("claimed")
    found = remove_orphans(ledger, files, lambda: 0 if references else -1, lambda: references, NOW)
    assert found.paths == ()


def test_a_table_without_loads_needs_what_its_snapshots_have() -> None:
    files = Listing("kept", "loose")
    found = remove_orphans(None, files, lambda: -1, lambda: {"kept"}, NOW)
    assert found.paths == ("loose",)
    assert list(files.there) == ["kept"]
