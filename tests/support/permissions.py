"""What the roles of a rendered stack may do, by their policies and those of what they touch."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from support.iam import Context, Decision, Request, decide

from localaws.apply import Recorded, stack_config
from policies.graph import statements

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
USUAL: Final[Context] = {"aws:SecureTransport": "true", "aws:PrincipalAccount": ACCOUNT}
"""What every request of the estate's roles brings with it."""
CREATES: Final = frozenset(("s3:PutObject",))
"""Actions by which an object comes to be, for which S3 says so."""

KEY_USE: Final[Mapping[str, Sequence[str]]] = {
    "s3:GetObject": ["Decrypt"],
    "s3:GetObjectVersion": ["Decrypt"],
    # A part is encrypted under the upload's key, which has to be decrypted first.
    "s3:PutObject": ["GenerateDataKey", "Decrypt"],
    "kinesis:GetRecords": ["Decrypt"],
    "kinesis:PutRecord": ["GenerateDataKey"],
    "kinesis:PutRecords": ["GenerateDataKey"],
    "sqs:ReceiveMessage": ["Decrypt"],
    "sqs:SendMessage": ["GenerateDataKey", "Decrypt"],
    "sns:Publish": ["GenerateDataKey", "Decrypt"],
}
"""What an action on something encrypted needs of its key."""


class Permissions:
    """A stack's policies, to be asked."""

    def __init__(self, stack: str, resources: Sequence[Recorded]) -> None:
        self.prefix: str = stack_config(stack)["lakehouse:platform"]["prefix"]
        self._resources = resources
        self.roles: dict[str, list[dict[str, Any]]] = defaultdict(list)
        """The statements of each role by its name without the prefix."""
        for found in self._of("RolePolicy"):
            self.roles[self.short(found.inputs["role"])] += statements(found.inputs["policy"])
        self.theirs: dict[str, list[dict[str, Any]]] = {}
        """The statements of the policies of buckets, keys, queues and topics, by ARN."""
        for found in self._of("BucketPolicy"):
            arn = f"arn:aws:s3:::{found.inputs['bucket']}"
            self.theirs[arn] = statements(found.inputs["policy"])
        for found in self._of("Key"):
            self.theirs[self.arn("kms", f"key/{found.name}")] = statements(found.inputs["policy"])
        for found in self._of("QueuePolicy"):
            name = found.inputs["queueUrl"].rpartition("/")[2]
            self.theirs[self.arn("sqs", name)] = statements(found.inputs["policy"])
        for found in self._of("TopicPolicy"):
            self.theirs[found.inputs["arn"]] = statements(found.inputs["policy"])

    def _of(self, kind: str) -> list[Recorded]:
        return [r for r in self._resources if r.type.endswith(f":{kind}")]

    def short(self, role: str) -> str:
        """A role's name without the prefix of the deployment."""
        return role.removeprefix(f"{self.prefix}-")

    def matching(self, pattern: str) -> list[str]:
        """The stack's roles, without prefix, of patterns such as ``ingest-*|land``."""
        parts = pattern.split("|")
        return [role for role in self.roles if any(fnmatchcase(role, part) for part in parts)]

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of the deployment, named as its service does.

        Buckets stand without prefix; ``{prefix}`` in the others is filled.
        """
        named = resource.format(prefix=self.prefix)
        if service == "s3":
            return f"arn:aws:s3:::{self.prefix}-{named}"
        return f"arn:aws:{service}:{'' if service == 'iam' else REGION}:{ACCOUNT}:{named}"

    @functools.cached_property
    def keys(self) -> Mapping[str, str]:
        """The ARN of the key of each bucket, stream, queue and topic, by its own ARN."""
        found = {}
        for setting in self._of("BucketServerSideEncryptionConfiguration"):
            (rule,) = setting.inputs["rules"]
            by_default = rule["applyServerSideEncryptionByDefault"]
            found[f"arn:aws:s3:::{setting.inputs['bucket']}"] = by_default["kmsMasterKeyId"]
        for stream in self._of("Stream"):
            arn = self.arn("kinesis", f"stream/{stream.inputs['name']}")
            found[arn] = stream.inputs["kmsKeyId"]
        for kind, service in (("Queue", "sqs"), ("Topic", "sns")):
            for resource in self._of(kind):
                key = resource.inputs["kmsMasterKeyId"]
                found[self.arn(service, resource.inputs["name"])] = key
        return found

    def of_keys(self, action: str, arn: str) -> list[tuple[str, str, Context]]:
        """What AWS asks a key for when a caller does something to what lies under it.

        Source: the permissions that S3, Kinesis, SQS and SNS need for encrypted resources.
        """
        owner = owner_of(arn)
        if action not in KEY_USE or owner not in self.keys:
            return []
        context: Context = {"kms:ViaService": f"{action.partition(':')[0]}.{REGION}.amazonaws.com"}
        if owner != arn:
            # Every bucket has a bucket key, so S3 names the bucket and not the object.
            context = {**context, "kms:EncryptionContext:aws:s3:arn": owner}
        return [(f"kms:{use}", self.keys[owner], context) for use in KEY_USE[action]]

    def decide(self, role: str, action: str, arn: str, context: Context | None = None) -> Decision:
        """Whether a role, or a service by its name, may do something to a resource."""
        principal = role if "." in role else f"arn:aws:iam::{ACCOUNT}:role/{self.prefix}-{role}"
        creating: Context = {"s3:ObjectCreationOperation": "true"} if action in CREATES else {}
        request = Request(principal, action, arn, {**USUAL, **creating, **(context or {})})
        theirs = self.theirs.get(owner_of(arn), [])
        # A key's policy has to let the account's IAM decide.
        limits = [theirs] if action.startswith("kms:") else []
        return decide(request, self.roles.get(role, []), theirs, limits)


def owner_of(arn: str) -> str:
    """What has the policy and the key: of an object its bucket, else the resource itself."""
    return arn.partition("/")[0] if arn.startswith("arn:aws:s3:") else arn
