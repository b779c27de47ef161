"""What a pull leaves in the landing zone, however often it is stopped and tried again."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from airflow.sdk import Connection
from hostile_api import Asked, HostileApi, Reply, numbered
from lakehouse_dags.client import Api, ApiError
from lakehouse_dags.pulls import Landing, Pulled, last_cursor, pull_period
from lakehouse_dags.pullspec import Period, PullCursor, read_pull
from memory_s3 import Killed, MemoryS3, etag

DAYS = [Period.of(date(2026, 3, day), "day") for day in range(1, 5)]
PAGES = {"pagination": {"kind": "page", "pages": "meta.pages"}}
SINCE = {"cursor": {"parameter": "since", "start": "0", "field": "n"}}


@pytest.fixture
def server() -> Iterator[HostileApi]:
    with HostileApi(numbered(3)) as api:
        yield api


def pull(
    server: HostileApi,
    s3: MemoryS3,
    period: Period = DAYS[0],
    manifest: str | None = None,
    **more: Any,
) -> Pulled:
    given = Connection(conn_id="a", conn_type="http", host="127.0.0.1", port=server.port)
    form = {"type": "json", "records": "records", "manifest": manifest}
    spec, form_ = read_pull({"pull": {"connection": "a", "path": "/v1", **more}, "format": form})
    with Api(given, max_bytes=1 << 20, sleep=lambda _: None) as api:
        return pull_period(Landing(s3, "landing", "tides"), api, spec, form_, period)


def page(number: int) -> str:
    return f"tides/2026-03-01/page-{number:04d}.json"


class Growing:
    """An API of numbered records, given two at a time from ``since`` on."""

    def __init__(self, server: HostileApi, newest: int) -> None:
        self.newest = newest
        server.answer = self.answer

    def answer(self, asked: Asked) -> Reply:
        first = float(asked.query.get("cursor", asked.query["since"])) + 1
        numbers = list(range(int(first), self.newest + 1))
        following = numbers[1] if len(numbers) > 2 else None
        records = [{"n": number} for number in numbers[:2]]
        return Reply({"records": records, "next_cursor": following})


def test_every_page_becomes_an_object_as_it_came(server: HostileApi) -> None:
    s3 = MemoryS3()
    done = pull(server, s3, **PAGES)
    assert list(s3.objects) == [page(1), page(2), page(3)]
    assert json.loads(s3.bodies[page(2)]) == {"records": [{"n": 2}], "meta": {"pages": 3}}
    assert str(done) == "2026-03-01: 3 pages, 3 new or changed, 0 removed"


def test_a_page_that_has_not_changed_is_not_written_again(server: HostileApi) -> None:
    s3 = MemoryS3()
    pull(server, s3, **PAGES)
    s3.objects[page(2)] = (b"what the API gave before", {})
    s3.changes.clear()
    done = pull(server, s3, **PAGES)
    assert s3.changes == [("put", page(2))]
    assert (done.written, done.removed) == (1, 0)


def test_pages_that_are_no_more_are_taken_away_and_only_they(server: HostileApi) -> None:
    s3 = MemoryS3()
    s3.objects["tides/2026-03-010/page-0009.json"] = (b"another period", {})
    pull(server, s3, **PAGES)
    server.answer = numbered(1)
    s3.changes.clear()
    done = pull(server, s3, **PAGES)
    # Page 1 says how many there are, so it has changed as well.
    assert s3.changes == [("put", page(1)), ("delete", page(2)), ("delete", page(3))]
    assert done.removed == 2
    assert "tides/2026-03-010/page-0009.json" in s3.objects


def test_the_manifest_is_the_last_thing_and_goes_before_anything_changes(
    server: HostileApi,
) -> None:
    s3, manifest = MemoryS3(), "tides/2026-03-01/_set.json"
    pull(server, s3, manifest="_set.json", **PAGES)
    assert s3.changes[-1] == ("put", manifest)
    first = json.loads(s3.bodies[manifest])
    assert [entry["name"] for entry in first] == [f"page-000{n}.json" for n in (1, 2, 3)]
    assert first[1]["size"] == len(s3.bodies[page(2)])
    assert f'"{first[1]["etag"]}"' == etag(s3.bodies[page(2)])
    s3.changes.clear()
    pull(server, s3, manifest="_set.json", **PAGES)
    assert s3.changes == []
    server.answer = numbered(2)
    pull(server, s3, manifest="_set.json", **PAGES)
    assert s3.changes == [
        ("delete", manifest), ("put", page(1)), ("put", page(2)), ("delete", page(3)),
        ("put", manifest),
    ]  # fmt: skip
    # Of pages with the same names and other contents it is another one, too.
    changed = json.loads(s3.bodies[manifest])
    assert changed != first[:2]


def test_an_incremental_pull_goes_on_where_the_newest_before_it_ended(server: HostileApi) -> None:
    s3, api = MemoryS3(), Growing(server, newest=3)
    more = {**SINCE, "pagination": {"kind": "cursor"}}
    pull(server, s3, DAYS[0], **more)
    assert json.loads(s3.bodies["_cursors/tides/2026-03-01.json"]) == {
        "since": "0", "until": "3", "pages": 2,
    }  # fmt: skip
    api.newest = 12
    pull(server, s3, DAYS[2], **more)
    assert json.loads(s3.bodies["_cursors/tides/2026-03-03.json"])["since"] == "3"
    assert numbers(s3) == list(range(1, 13))
    # Pulled again, a period begins where it began, and the newer ones stay as they are.
    pull(server, s3, DAYS[1], **more)
    assert json.loads(s3.bodies["_cursors/tides/2026-03-02.json"])["since"] == "3"
    assert json.loads(s3.bodies["_cursors/tides/2026-03-03.json"])["until"] == "12"


def numbers(s3: MemoryS3) -> list[int]:
    found = [
        record["n"]
        for key, body in s3.bodies.items()
        if key.startswith("tides/") and "page-" in key
        for record in json.loads(body)["records"]
    ]
    return sorted(set(found))


def test_a_period_pulled_again_begins_where_it_began(server: HostileApi) -> None:
    s3, api = MemoryS3(), Growing(server, newest=3)
    more = {**SINCE, "pagination": {"kind": "cursor"}}
    for api.newest in (3, 8):
        pull(server, s3, DAYS[1], **more)
        kept = json.loads(s3.bodies["_cursors/tides/2026-03-02.json"])
        assert (kept["since"], kept["until"]) == ("0", str(api.newest))
        assert numbers(s3) == list(range(1, api.newest + 1))


def test_nothing_new_leaves_the_cursor_where_it_is(server: HostileApi) -> None:
    s3 = MemoryS3()
    Growing(server, newest=3)
    more = {**SINCE, "pagination": {"kind": "cursor"}}
    pull(server, s3, DAYS[0], **more)
    pull(server, s3, DAYS[1], **more)
    assert json.loads(s3.bodies["_cursors/tides/2026-03-02.json"])["until"] == "3"


@pytest.mark.parametrize(
    ("records", "start", "until"),
    [
        ([{"n": "2026-01-05"}, {"n": "2026-01-03"}], "2026-01-01", "2026-01-05"),
        ([{"n": "2025-01-05"}], "2026-01-01", "2026-01-01"),
        ([{"n": 9}, {"n": 10}, {"n": None}, {}], "0", "10"),
        ([{"n": 9}], "10", "10"),
        ([{"n": 1.5}], "", "1.5"),
        ([], "7", "7"),
    ],
)
def test_the_cursor_is_the_greatest_and_never_goes_back(
    server: HostileApi, records: list[Any], start: str, until: str
) -> None:
    s3 = MemoryS3()
    server.answer = lambda _: Reply({"records": records})
    pull(server, s3, cursor={"parameter": "since", "start": start, "field": "n"})
    assert json.loads(s3.bodies["_cursors/tides/2026-03-01.json"])["until"] == until


def test_a_cursor_of_two_types_is_refused_and_nothing_is_kept(server: HostileApi) -> None:
    s3 = MemoryS3()
    server.answer = lambda _: Reply({"records": [{"n": 1}, {"n": "x"}]})
    with pytest.raises(ApiError, match="'n' of several types"):
        pull(server, s3, **SINCE)
    assert not [key for key in s3.objects if key.startswith("_cursors/")]


def test_the_cursor_may_be_said_by_the_answer(server: HostileApi) -> None:
    s3 = MemoryS3()
    server.answer = lambda _: Reply({"records": [], "meta": {"until": 77}})
    pull(server, s3, cursor={"parameter": "since", "start": "0", "key": "meta.until"})
    assert json.loads(s3.bodies["_cursors/tides/2026-03-01.json"])["until"] == "77"


def test_a_cursor_that_cannot_be_read_is_told_with_its_key() -> None:
    s3 = MemoryS3()
    s3.objects["_cursors/tides/2026-03-01.json"] = (b"{}", {})
    landing = Landing(s3, "landing", "tides")
    with pytest.raises(ApiError, match=r"_cursors/tides/2026-03-01.json .* remove it"):
        last_cursor(landing, PullCursor(parameter="s", start="0"), DAYS[1])


@pytest.mark.parametrize("manifest", [None, "_set.json"])
@pytest.mark.parametrize("before", [False, True], ids=["first", "again"])
def test_a_pull_killed_at_any_step_and_tried_again_leaves_what_one_leaves(
    server: HostileApi, manifest: str | None, before: bool
) -> None:
    earlier, api = MemoryS3(), Growing(server, newest=9)
    more = {**SINCE, "pagination": {"kind": "cursor"}}
    if before:
        # The same day was pulled when it had other pages, and more of them.
        pull(server, earlier, DAYS[0], **more)
        pull(server, earlier, DAYS[1], manifest, **more)
        for number in range(1, 7):
            key = f"tides/2026-03-02/page-{number:04d}.json"
            earlier.objects[key] = (b'{"records": []}', {})
    api.newest = 14
    clean = copy.deepcopy(earlier)
    clean.calls = 0
    pull(server, clean, DAYS[1], manifest, **more)
    assert clean.calls >= 10
    for step in range(clean.calls):
        s3 = copy.deepcopy(earlier)
        s3.calls_left = step
        with pytest.raises(Killed):
            pull(server, s3, DAYS[1], manifest, **more)
        s3.calls_left = None
        seen = s3.bodies
        cursor = seen.get("_cursors/tides/2026-03-02.json")
        if cursor != earlier.bodies.get("_cursors/tides/2026-03-02.json"):
            # The cursor has moved, so all that it stands for is there.
            assert {k: v for k, v in seen.items() if k in clean.bodies} == clean.bodies
        listed = seen.get("tides/2026-03-02/_set.json")
        if listed is not None and seen != earlier.bodies:
            # So is all that a manifest lists, in one state.
            names = [f"tides/2026-03-02/{entry['name']}" for entry in json.loads(listed)]
            assert {n: seen[n] for n in names} == {n: clean.bodies[n] for n in names}
        pull(server, s3, DAYS[1], manifest, **more)
        assert s3.bodies == clean.bodies


def test_a_day_that_was_never_finished_is_covered_by_the_next(server: HostileApi) -> None:
    api = Growing(server, newest=4)
    more = {**SINCE, "pagination": {"kind": "cursor"}}
    whole = MemoryS3()
    pull(server, whole, DAYS[0], **more)
    calls = whole.calls
    for step in range(calls):
        api.newest = 4
        s3 = MemoryS3()
        s3.calls_left = step
        with pytest.raises(Killed):
            pull(server, s3, DAYS[0], **more)
        s3.calls_left = None
        api.newest = 9
        pull(server, s3, DAYS[1], **more)
        assert numbers(s3) == list(range(1, 10))
