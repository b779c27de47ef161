from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.rendered import estate, of, planted

from localaws.apply import Recorded
from review.layers import layout
from review.picture import HUB, PAGE, kinds, picture, references
from review.touches import Touch, touches
from tests.support.chromium import chromium, needs_chromium

SVG = "{http://www.w3.org/2000/svg}"
UPDATE = "if it is meant, run 'nox -s golden' and commit what it writes"
Box = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def prod() -> list[Recorded]:
    return estate("prod")


@pytest.fixture(scope="module")
def drawn(prod: list[Recorded]) -> str:
    return picture(prod)


def boxes(svg: str) -> dict[str, Box]:
    """The boxes of the components: left, top, right, bottom."""
    found = {}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        x, y, width, height = (
            float(next(iter(group)).attrib[key]) for key in ("x", "y", "width", "height")
        )
        found[group.attrib["id"]] = (x, y, x + width, y + height)
    return found


def points(path: str) -> list[tuple[float, float]]:
    """Points along an arrow: its straight parts, and its curves in small steps."""
    found: list[tuple[float, float]] = []
    for kind, text in re.findall(r"([MVC])([^MVC]*)", path):
        n = [float(value) for value in re.findall(r"-?[\d.]+", text)]
        if kind == "M":
            found.append((n[0], n[1]))
            continue
        x, y = found[-1]
        curve = n if kind == "C" else [x, y, x, n[0], x, n[0]]
        for step in range(1, 41):
            t = step / 40
            a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
            found.append(
                (
                    a * x + b * curve[0] + c * curve[2] + d * curve[4],
                    a * y + b * curve[1] + c * curve[3] + d * curve[5],
                )
            )
    return found


def inside(point: tuple[float, float], box: Box) -> bool:
    near = 0.1  # of a pixel, to which places are rounded
    return box[0] + near < point[0] < box[2] - near and box[1] + near < point[1] < box[3] - near


def test_the_picture_is_what_the_program_draws(drawn: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == drawn, UPDATE


def test_it_is_the_same_whatever_the_order_of_the_resources(
    prod: list[Recorded], drawn: str
) -> None:
    assert picture(list(reversed(prod))) == drawn


def test_every_component_is_in_it_with_all_that_it_declares(
    prod: list[Recorded], drawn: str
) -> None:
    components = {r.component for r in prod}
    assert "" not in components
    assert set(boxes(drawn)) == components
    for group in ET.fromstring(drawn).iter(f"{SVG}g"):
        texts = [text.text for text in group.iter(f"{SVG}text")]
        counted = kinds(group.attrib["id"], prod)
        assert texts[:2] == [group.attrib["id"], str(sum(counted.values()))]
        numbers = [int(text) for text in texts[2:] if text and text.isdigit()]
        assert sum(numbers) == sum(counted.values())


def test_no_box_lies_on_another_and_all_lie_on_the_page(drawn: str) -> None:
    found = boxes(drawn)
    page = ET.fromstring(drawn).attrib

    for (_, a), (_, b) in itertools.combinations(found.items(), 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    for box in found.values():
        assert 0 <= box[0] < box[2] <= float(page["width"])
        assert 0 <= box[1] < box[3] <= float(page["height"])


def test_no_arrow_runs_through_a_box(drawn: str) -> None:
    found = boxes(drawn)
    arrows = [p for p in ET.fromstring(drawn).iter(f"{SVG}path") if p.get("class") == "arrow"]

    assert len(arrows) > 10
    for arrow in arrows:
        hit = {
            n
            for point in points(arrow.attrib["d"])
            for n, box in found.items()
            if inside(point, box)
        }
        assert not hit, arrow.attrib["d"]


def test_there_is_an_arrow_for_each_reference_between_components(
    prod: list[Recorded], drawn: str
) -> None:
    joined = references(prod)
    arrows = [p for p in ET.fromstring(drawn).iter(f"{SVG}path") if p.get("class") == "arrow"]

    assert {("Jobs", "Artifacts"), ("Jobs", "Network"), ("Supervisor", "Jobs")} <= set(joined)
    assert len(arrows) == sum(used != HUB for _, used in joined)


def test_a_new_reference_is_a_new_arrow(prod: list[Recorded], drawn: str) -> None:
    stream, topic = of(prod, "Stream")["flights"], of(prod, "Topic")["alerts"]
    told = replace(stream, uses=stream.uses | {(topic.type, topic.name)})
    after = picture([told if r is stream else r for r in prod])

    assert after.count('class="arrow"') == drawn.count('class="arrow"') + 1


def test_a_box_names_the_keys_that_its_component_uses(drawn: str) -> None:
    said = {
        group.attrib["id"]: [text.text for text in group.iter(f"{SVG}text")][-1]
        for group in ET.fromstring(drawn).iter(f"{SVG}g")
    }

    assert said["Streams"] == said["Arrivals"] == "key inbound"
    assert said["Lake"] == "all keys"


def test_who_may_touch_what_is_what_the_policies_say(prod: list[Recorded]) -> None:
    found = set(touches(prod))

    assert Touch("land", "landing", writes=False) in found
    assert Touch("land", "bronze", writes=True) in found
    assert Touch("ingest-main", "streams", writes=False) in found
    assert not [t for t in found if t.role == "land" and t.thing in {"silver", "gold", "streams"}]
    wide = '{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "%s"}]}'
    gold = f"arn:aws:s3:::{of(prod, 'Bucket')['gold'].inputs['bucket']}/*"
    wider = planted(prod, "RolePolicy", "land", policy=wide % gold)
    assert [t for t in touches(wider) if t.role == "land"] == [Touch("land", "gold", writes=True)]


def test_an_edge_over_several_rows_has_a_place_in_each() -> None:
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")]
    found = layout(dict.fromkeys("abcd", 100.0), edges, 10)

    assert [sorted(node for node in row if "@" not in node) for row in found.rows] == [
        ["a"], ["b", "d"], ["c"],
    ]  # fmt: skip
    assert len(found.ways["a", "c"]) == 3
    for row in found.rows:
        places: Sequence[float] = [found.middle[node] for node in row]
        assert list(places) == sorted(places)


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_without_a_complaint(tmp_path: Path, scheme: str) -> None:
    with chromium(tmp_path / "profile") as browser:
        shown = browser.show(PAGE, 1600, scheme)

    assert shown.complaints == []
    assert shown.loaded == [PAGE.as_uri()]
