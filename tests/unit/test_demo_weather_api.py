from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx
import pandas as pd
import pytest

from demo.weather_api import PAGE, WeatherApi, by_month, in_celsius


def observation(number: int) -> dict[str, Any]:
    return {"origin": "EWR", "time_hour": f"hour {number}", "temp": 50.0, "dewp": 41.0}


@pytest.fixture
def api() -> Iterator[WeatherApi]:
    rows = [observation(n) for n in range(2 * PAGE + 1)]
    with WeatherApi({"2013-01": rows, "2013-02": rows[:1]}) as served:
        yield served


def get(api: WeatherApi, **query: str | int) -> httpx.Response:
    answer = httpx.get(f"{api.url}/v1/observations", params=query)
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        answer = httpx.get(f"{api.url}/v1/observations", params=query)
    return answer


def test_the_pages_together_are_the_month(api: WeatherApi) -> None:
    first = get(api, month="2013-01", page=1).json()
    assert first["pages"] == 3
    pages = [get(api, month="2013-01", page=n).json() for n in range(1, 4)]
    assert [page["page"] for page in pages] == [1, 2, 3]
    rows = [row for page in pages for row in page["observations"]]
    assert rows == [observation(n) for n in range(2 * PAGE + 1)]


def test_one_request_of_seven_is_refused_and_says_when_to_come_again(api: WeatherApi) -> None:
    url = f"{api.url}/v1/observations?month=2013-02"
    answers = [httpx.get(url) for _ in range(14)]
    refused = [n for n, answer in enumerate(answers) if answer.status_code == 429]
    assert refused == [6, 13]
    assert answers[6].headers["Retry-After"] == "1"


def test_a_month_comes_in_celsius_until_it_is_healed(api: WeatherApi) -> None:
    api.serve_in_celsius({"2013-02"})
    assert get(api, month="2013-02").json()["observations"][0]["temp"] == 10.0
    assert get(api, month="2013-01").json()["observations"][0]["temp"] == 50.0
    api.serve_in_celsius(())
    assert get(api, month="2013-02").json()["observations"][0]["temp"] == 50.0


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"month": "2013-13"}, 404, "no month '2013-13'; there are 2013-01, 2013-02"),
        ({"month": "2013-02", "page": 2}, 400, "there are 1 to 1"),
        ({"month": "2013-02", "page": "x"}, 400, "no page 'x'"),
    ],
)
def test_what_is_not_there_is_said(
    api: WeatherApi, query: dict[str, str | int], status: int, words: str
) -> None:
    answer = get(api, **query)
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_what_was_not_measured_stays_null_in_both_units() -> None:
    frame = pd.DataFrame(
        {"origin": ["JFK"], "time_hour": ["h"], "year": [2013], "month": [4]}
        | {name: [float("nan")] for name in ("temp", "dewp", "humid", "wind_dir", "wind_speed")}
        | {name: [1.5] for name in ("wind_gust", "precip", "pressure", "visib")}
    )
    months = by_month(frame)
    assert list(months) == ["2013-04"]
    row = months["2013-04"][0]
    assert row["temp"] is None
    assert row["wind_gust"] == 1.5
    assert in_celsius(row) == row
