"""Recorded calls as IAM sees them: actions on resources, with what conditions may ask for.

Besides what a caller asks for, this is what AWS asks IAM for on the way: keys by which objects,
records and messages are en- and decrypted, and the code of a run, which Glue fetches as its role.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from support.iam import Context
from support.recorder import Seen

_MISSING: Final = 404
_JOBS: Final = ("BatchStopJobRun", "GetJob", "GetJobRun", "GetJobRuns", "StartJobRun")
FREE: Final = frozenset(("sts:GetCallerIdentity",))
"""Calls for which nobody needs a right."""


class Asked(NamedTuple):
    """A question to IAM; names of the deployment stand as ``{prefix}``, buckets without it."""

    role: str
    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()

    @property
    def service(self) -> str:
        """The service that the resource is of."""
        return self.action.partition(":")[0]

    def conditions(self) -> Context:
        """What conditions may ask for."""
        return dict(self.context)


Question = Asked | tuple[Any, ...]
"""What is asked for: by a role, or without the role by whoever called."""


class Reader:
    """Reads the calls of a deployment; ``jobs`` are the definitions of its Glue jobs by name."""

    def __init__(self, prefix: str, jobs: Mapping[str, Mapping[str, Any]]) -> None:
        self._prefix, self._jobs = prefix, jobs
        self._iterators: dict[str, str] = {}

    def asked(self, calls: Iterable[Seen]) -> list[Asked]:
        """What the deployment's roles asked for, in order; other callers are left out.

        Raises ValueError for a call that is not understood.
        """
        found: list[Asked] = []
        for call in calls:
            if call.caller.startswith(f"{self._prefix}-"):
                role = call.caller.removeprefix(f"{self._prefix}-")
                found.extend(
                    question if isinstance(question, Asked) else Asked(role, *question)
                    for question in self._questions(call)
                )
        return [one for one in found if one.action not in FREE]

    def _questions(self, call: Seen) -> Iterator[Question]:
        readers: dict[str, Callable[[Seen], Iterator[Question]]] = {
            "s3": self._s3,
            "glue": self._glue,
            "kinesis": self._kinesis,
            "cloudwatch": self._cloudwatch,
            "sqs": self._sqs,
            "sns": self._sns,
            "secretsmanager": self._secrets,
            "sts": self._sts,
        }
        if call.service not in readers:
            raise ValueError(
                f"{call.service} {call.operation} {call.path}: teach it to awscalls.py"
            )
        return readers[call.service](call)

    def _named(self, name: str) -> str:
        return name.replace(self._prefix, "{prefix}")

    def _s3(self, call: Seen) -> Iterator[Question]:
        bucket = call.bucket.removeprefix(f"{self._prefix}-")
        if not call.key:
            yield from _of_bucket(call, bucket)
            return
        yield from _of_object(call, bucket, f"{bucket}/{call.key}")
        if source := call.headers.get("x-amz-copy-source"):
            copied = source.lstrip("/").removeprefix(f"{self._prefix}-")
            yield ("s3:GetObject", copied)

    def _glue(self, call: Seen) -> Iterator[Question]:
        operation, body = call.operation, call.body
        action = f"glue:{operation}"
        if operation in _JOBS:
            job = body["JobName"]
            yield (action, f"job/{self._named(job)}")
            if operation == "StartJobRun" and call.status == 200:
                yield from self._code(job)
        elif operation == "GetSchemaVersion":
            yield (action, "*")
        else:
            database = body.get("DatabaseName") or body["Name"]
            table = body.get("TableInput", body).get("Name") if "DatabaseName" in body else None
            yield (action, "catalog")
            yield (action, f"database/{database}")
            if table:
                yield (action, f"table/{database}/{table}")

    def _code(self, job: str) -> Iterator[Question]:
        """What Glue fetches of a run that is started, under the role of the job."""
        definition = self._jobs[job]
        uris = [definition["Command"]["ScriptLocation"]]
        uris += definition["DefaultArguments"]["--extra-py-files"].split(",")
        for uri in uris:
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            place = f"{bucket.removeprefix(f'{self._prefix}-')}/{key}"
            yield Asked(job.removeprefix(f"{self._prefix}-"), "s3:GetObject", place)

    def _kinesis(self, call: Seen) -> Iterator[Question]:
        body, answer = call.body, call.answer
        stream = body.get("StreamName") or str(body.get("StreamARN", "")).partition("/")[2]
        stream = stream or self._iterators[body.get("ShardIterator") or body.get("NextToken")]
        for name in ("ShardIterator", "NextShardIterator", "NextToken"):
            if answer.get(name):
                self._iterators[answer[name]] = stream
        yield (f"kinesis:{call.operation}", f"stream/{self._named(stream)}")

    def _cloudwatch(self, call: Seen) -> Iterator[Question]:
        context = (("cloudwatch:namespace", call.body["Namespace"]),)
        yield (f"cloudwatch:{call.operation}", "*", context)

    def _sqs(self, call: Seen) -> Iterator[Question]:
        action = call.operation.removesuffix("Batch")
        queue = call.body["QueueUrl"].rpartition("/")[2]
        yield (f"sqs:{action}", self._named(queue))

    def _sns(self, call: Seen) -> Iterator[Question]:
        topic = call.body.get("TopicArn") or call.body["TargetArn"]
        yield (f"sns:{call.body['Action']}", self._named(topic.rpartition(":")[2]))

    def _secrets(self, call: Seen) -> Iterator[Question]:
        # AWS ends a secret's ARN in six characters of its own.
        secret = f"secret:{self._named(call.body['SecretId'])}-AbCdEf"
        yield (f"secretsmanager:{call.operation}", secret)

    def _sts(self, call: Seen) -> Iterator[Question]:
        yield (f"sts:{call.body['Action']}", call.body.get("RoleArn", "*"))


def _of_bucket(call: Seen, bucket: str) -> Iterator[Question]:
    query = call.query
    if "delete" in query:
        for key in _deleted(call.body):
            yield ("s3:DeleteObject", f"{bucket}/{key}")
        return
    prefix = (("s3:prefix", query["prefix"]),) if "prefix" in query else ()
    if "versions" in query:
        yield ("s3:ListBucketVersions", bucket, prefix)
    elif "location" in query:
        yield ("s3:GetBucketLocation", bucket)
    elif call.method in ("GET", "HEAD"):
        yield ("s3:ListBucket", bucket, prefix)
    else:
        raise ValueError(f"{call.method} {call.path} {query}: teach it to awscalls.py")


def _deleted(body: bytes) -> list[str]:
    found = []
    for item in ET.fromstring(body):
        parts = {part.tag.rpartition("}")[2]: part.text or "" for part in item}
        if "VersionId" in parts:
            raise ValueError(f"version {parts} is deleted: teach it to awscalls.py")
        if "Key" in parts:
            found.append(parts["Key"])
    return found


def _of_object(call: Seen, bucket: str, place: str) -> Iterator[Question]:
    query, method = call.query, call.method
    version = "Version" if "versionId" in query else ""
    if method in ("GET", "HEAD") and "uploadId" not in query:
        yield (f"s3:GetObject{version}", place)
        if call.status == _MISSING:
            # S3 tells only who may list that there is no such key.
            yield ("s3:ListBucket", bucket)
    elif method == "DELETE" and "uploadId" in query:
        yield ("s3:AbortMultipartUpload", place)
    elif method == "DELETE":
        yield (f"s3:DeleteObject{version}", place)
    elif method in ("PUT", "POST"):
        part = "uploads" in query or (method == "PUT" and "uploadId" in query)
        context = [("s3:ObjectCreationOperation", "false" if part else "true")]
        context += [
            (f"s3:{name}", value)
            for name, value in call.headers.items()
            if name in ("if-match", "if-none-match") or name.startswith("x-amz-server-side")
        ]
        yield ("s3:PutObject", place, tuple(context))
        if "if-match" in call.headers:
            yield ("s3:GetObject", place)
        if "x-amz-tagging" in call.headers:
            yield ("s3:PutObjectTagging", place)
    else:
        raise ValueError(f"{method} {call.path} {query}: teach it to awscalls.py")
