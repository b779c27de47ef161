"""Lake Formation's tags of a table's columns, which say who may see them.

A column without a tag of its own has its database's, ``unclassified``, which opens it to nobody but
engineers. So a table just made and a column just added are hidden until they are tagged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from lakehouse import naming
from lakehouse.errors import EstateError, TransientError
from lakehouse.naming import Layer

CLASSIFICATION: Final = "classification"
"""Key of the tag."""
UNCLASSIFIED: Final = "unclassified"
"""Its value on the databases, which no column is given by itself."""
_PASSING: Final = {
    "ConcurrentModificationException",
    # A table that was just made may not be known everywhere yet.
    "EntityNotFoundException",
    "InternalServiceException",
    "OperationTimeoutException",
    "ThrottledException",
}
_ATTEMPTS: Final = 6


def tag_columns(
    client: Any,
    layer: Layer,
    dataset: str,
    classes: Mapping[str, str],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Give columns their classification, as far as they have another one; may be repeated.

    Raises EstateError when Lake Formation refuses, TransientError when it does not come to it.
    """
    retrying = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=8),
        retry=retry_if_exception_type(TransientError),
        sleep=sleep,
        reraise=True,
    )
    retrying(_tag_once, client, layer, dataset, classes)


def _tag_once(client: Any, layer: Layer, dataset: str, classes: Mapping[str, str]) -> None:
    have = _tags(client, layer, dataset, sorted(classes))
    wrong = {column: name for column, name in classes.items() if have.get(column) != name}
    for name in sorted(set(wrong.values())):
        columns = sorted(column for column, wanted in wrong.items() if wanted == name)
        what = f"tag {', '.join(columns)} of {naming.table(layer, dataset)} as {name!r}"
        try:
            answer = client.add_lf_tags_to_resource(
                Resource=_columns(layer, dataset, columns),
                LFTags=[{"TagKey": CLASSIFICATION, "TagValues": [name]}],
            )
        except ClientError as error:
            raise _failed(what, error.response["Error"]) from error
        for failure in answer.get("Failures", []):
            given = failure.get("Error", {})
            told = {"Code": given.get("ErrorCode", ""), "Message": given.get("ErrorMessage", "")}
            raise _failed(what, told)


def _tags(client: Any, layer: Layer, dataset: str, columns: Sequence[str]) -> dict[str, str]:
    """The classification that each column has, its own or its table's."""
    try:
        answer = client.get_resource_lf_tags(Resource=_columns(layer, dataset, columns))
    except ClientError as error:
        what = f"tell the tags of {naming.table(layer, dataset)}"
        raise _failed(what, error.response["Error"]) from error
    return {
        column["Name"]: tag["TagValues"][0]
        for column in answer.get("LFTagsOnColumns", [])
        for tag in column.get("LFTags", [])
        if tag["TagKey"] == CLASSIFICATION
    }


def _columns(layer: Layer, dataset: str, columns: Sequence[str]) -> dict[str, Any]:
    table = {"DatabaseName": layer, "Name": dataset, "ColumnNames": list(columns)}
    return {"TableWithColumns": table}


def _failed(what: str, error: Mapping[str, object]) -> EstateError | TransientError:
    code, message = error.get("Code", ""), error.get("Message", "")
    kind = TransientError if code in _PASSING else EstateError
    return kind(
        f"Lake Formation did not {what}: {code}: {message}; expected the tag's value and this "
        "role's grants as the estate declares them: name the classification in "
        "lake_formation.classifications and deploy again"
    )
