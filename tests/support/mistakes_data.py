"""Mistakes of buckets, keys, streams and tables, under the rule that has to find them."""

from __future__ import annotations

from typing import Final

from support.estategraph import everything
from support.planting import (
    Plant,
    another,
    at,
    inputs,
    more,
    options,
    statement,
    without,
    without_all,
)
from support.rendered import of

BUCKET = "arn:aws:s3:::acme-lakehouse-prod-"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/"
EXPIRY = {"id": "old", "status": "Enabled", "filter": {"prefix": ""}, "expiration": {"days": 30}}
LIFECYCLE, TABLE = "BucketLifecycleConfiguration", "CatalogTable"
ENCRYPTED, PRIVATE = "BucketServerSideEncryptionConfiguration", "BucketPublicAccessBlock"
BY_DEFAULT = "rules.0.applyServerSideEncryptionByDefault"
PROJECTED = of(everything(), TABLE)["verdicts"].inputs["parameters"]

MISTAKES: Final[dict[str, list[Plant]]] = {
    "nothing_live_expires": [
        inputs(LIFECYCLE, name, rules=[EXPIRY])
        for name in ("ledger", "bronze", "silver", "gold", "verdicts", "landing", "artifacts")
    ],
    "what_was_erased_ends": [
        at(LIFECYCLE, "silver", "rules.0.noncurrentVersionExpiration.noncurrentDays", 400.0),
        at(LIFECYCLE, "silver", "rules.0.status", "Disabled"),
        at(LIFECYCLE, "silver", "rules.0.abortIncompleteMultipartUpload", None),
        without(LIFECYCLE, "gold"),
    ],
    "records_are_written_once": [
        statement("BucketPolicy", "ledger", "WrittenOnce"),
        statement("BucketPolicy", "verdicts", "WrittenOnce", Condition={}),
        statement("BucketPolicy", "verdicts", "WrittenOnce", Resource=[f"{BUCKET}verdicts/runs/*"]),
        statement("RolePolicy", "land", "LedgerObjects", Action=["s3:DeleteObject"]),
        statement("RolePolicy", "promote", "VerdictsRelease", Resource=[f"{BUCKET}verdicts/*"]),
    ],
    "buckets_are_versioned": [
        without("BucketVersioning", "bronze"),
        at("BucketVersioning", "bronze", "versioningConfiguration.status", "Suspended"),
    ],
    "buckets_are_private": [
        without(PRIVATE, "bronze"),
        inputs(PRIVATE, "bronze", restrictPublicBuckets=False),
        inputs(PRIVATE, "audit", blockPublicAcls=None),
    ],
    "buckets_are_reached_by_tls_only": [
        without("BucketPolicy", "bronze"),
        statement("BucketPolicy", "bronze", "TlsOnly"),
        statement("BucketPolicy", "bronze", "TlsOnly", Resource=[f"{BUCKET}bronze"]),
        statement("BucketPolicy", "bronze", "TlsOnly", Principal={"AWS": "123456789012"}),
    ],
    "buckets_take_no_other_key": [
        statement("BucketPolicy", "bronze", "OwnKeyOnly"),
        without("BucketPolicy", "gold"),
    ],
    "no_policy_is_open": [
        statement("BucketPolicy", "bronze", "TlsOnly", Effect="Allow", Condition={}),
        statement("QueuePolicy", "arrivals", "Arrivals", Principal="*", Condition={}),
        statement("Key", "key-inbound", "Arrivals", Principal={"AWS": "*"}),
    ],
    "what_holds_data_is_protected": [
        options("Bucket", "bronze", protect=False),
        options("Stream", "flights", protect=False),
        options("CatalogDatabase", "gold", protect=False),
        inputs("Bucket", "bronze", forceDestroy=True),
    ],
    "data_of_prod_outlives_its_stack": [
        options("Key", "key-gold", retain=False),
        options("Bucket", "bronze", retain=False),
        options("Bucket", "bronze", protect=False),
    ],
    "query_results_end": [
        without(LIFECYCLE, "results"),
        inputs("Workgroup", "analyst", configuration={}),
    ],
    "events_reach_encrypted_queues": [
        statement("Key", "key-inbound", "Arrivals"),
        statement("Key", "key-inbound", "Arrivals", Action=["kms:Decrypt"]),
        statement("QueuePolicy", "arrivals", "Arrivals"),
        without("QueuePolicy", "dead-arrivals"),
        without("Queue", "dead-arrivals"),
        inputs("EventTarget", "arrivals", deadLetterConfig=None),
    ],
    "eventbridge_is_asked_for_no_source": [
        statement("Key", "key-inbound", "Arrivals", Condition={"StringEquals": {}}),
        statement("Key", "key-operations", "FailedRuns", Condition={"StringEquals": {}}),
        statement("TopicPolicy", "alerts", "Rules", Condition={"StringEquals": {}}),
    ],
    "senders_reach_the_encrypted_topic": [
        statement("Key", "key-operations", "Alerts"),
        statement("Key", "key-operations", "FailedRuns"),
        statement("TopicPolicy", "alerts", "Rules"),
        inputs("Topic", "alerts", kmsMasterKeyId="alias/aws/sns"),
        statement(
            "TopicPolicy", "alerts", "Senders", Principal={"Service": ["budgets.amazonaws.com"]}
        ),
    ],
    "logs_can_be_encrypted": [
        inputs(
            "LogGroup", "land-error", kmsKeyId="arn:aws:kms:eu-west-1:123456789012:key/key-gold"
        ),
        statement("Key", "key-operations", "Logs"),
        inputs("LogGroup", "flow-logs", name="/vpc/flow-logs"),
        inputs("LogGroup", "flow-logs", kmsKeyId=None),
    ],
    "the_trail_can_be_written": [
        statement("Key", "key-operations", "Trail"),
        statement("BucketPolicy", "audit", "TrailWrites"),
    ],
    "keys_rotate": [
        inputs("Key", "key-gold", enableKeyRotation=False),
        inputs("Key", "key-gold", enableKeyRotation=None),
    ],
    "keys_stay_in_hand": [
        statement("Key", "key-gold", "AccountDecidesByIam"),
        statement(
            "Key",
            "key-gold",
            "AccountDecidesByIam",
            Principal={"AWS": "arn:aws:iam::999999999999:root"},
        ),
    ],
    "keys_outlive_what_they_encrypt": [inputs("Key", "key-gold", deletionWindowInDays=7.0)],
    "buckets_are_encrypted_by_the_estates_keys": [
        without(ENCRYPTED, "gold"),
        at(ENCRYPTED, "gold", f"{BY_DEFAULT}.sseAlgorithm", "AES256"),
        at(ENCRYPTED, "gold", f"{BY_DEFAULT}.kmsMasterKeyId", f"{KEY}of-another"),
        at(ENCRYPTED, "gold", "rules.0.bucketKeyEnabled", False),
    ],
    "layers_have_keys_of_their_own": [
        at(ENCRYPTED, "gold", f"{BY_DEFAULT}.kmsMasterKeyId", f"{KEY}key-silver"),
    ],
    "messages_are_encrypted_by_the_estates_keys": [
        inputs("Queue", "arrivals", kmsMasterKeyId=None),
        inputs("Topic", "alerts", kmsMasterKeyId="alias/aws/sns"),
    ],
    "streams_are_encrypted_by_the_estates_keys": [
        inputs("Stream", "flights", encryptionType="NONE"),
        inputs("Stream", "flights", kmsKeyId="alias/aws/kinesis"),
    ],
    "iceberg_tables_belong_to_the_jobs": [
        another("CatalogDatabase", "gold", "aws:s3tables/table:Table"),
        inputs(TABLE, "verdicts", databaseName="silver"),
        inputs(TABLE, "checks", databaseName="gold"),
        inputs(TABLE, "verdicts", parameters={"table_type": "ICEBERG"}),
        inputs(TABLE, "verdicts", parameters={"metadata_location": "s3://x/1.metadata.json"}),
        inputs(TABLE, "verdicts", openTableFormatInput={"icebergInput": {"version": "2"}}),
        inputs(TABLE, "verdicts", tableType="MANAGED_TABLE"),
        at(TABLE, "verdicts", "storageDescriptor.inputFormat", "org.apache.iceberg.mr.Input"),
        at(TABLE, "verdicts", "storageDescriptor.serDeInfo", {}),
    ],
    "what_the_gates_wrote_is_found": [
        without(TABLE, "approvals"),
        inputs(TABLE, "verdicts", parameters=PROJECTED | {"projection.enabled": "false"}),
        inputs(TABLE, "verdicts", parameters=PROJECTED | {"projection.dataset.values": "planes"}),
        at(
            TABLE,
            "verdicts",
            "parameters",
            PROJECTED
            | {"storage.location.template": "s3://acme-lakehouse-prod-verdicts/x/${dataset}/"},
        ),
    ],
    "what_is_referred_to_is_there": [without("Key", "key-gold"), without("Bucket", "results")],
    "names_are_lower_case": [
        inputs(TABLE, "verdicts", name="Verdicts"),
        inputs("CatalogDatabase", "gold", name="gold-marts"),
    ],
    "nobody_else_deletes_orphans": [
        inputs("CatalogTableOptimizer", "flights", type="orphan_file_deletion"),
    ],
    "schemas_stay_compatible": [
        inputs("Schema", "radar", compatibility="NONE"),
        inputs("Schema", "radar", compatibility=None),
    ],
    "the_lake_is_granted_to_named_roles": [
        inputs("Permissions", "analyst-tables", principal="IAM_ALLOWED_PRINCIPALS"),
        inputs("Permissions", "analyst-tables", principal="123456789012:IAMPrincipals"),
        inputs("Permissions", "land-bronze", principal="arn:aws:iam::123456789012:role/admin"),
        without("Role", "auditor"),
    ],
    "locations_have_a_role_of_ours": [
        inputs("Resource", "silver", roleArn=None, useServiceLinkedRole=True),
    ],
    "jobs_are_not_opted_in": [
        at(
            "OptIn",
            "analyst-silver",
            "principals.0.dataLakePrincipalIdentifier",
            "arn:aws:iam::123456789012:role/acme-lakehouse-prod-promote",
        ),
    ],
    "who_is_granted_by_tags_is_opted_in": [
        without("OptIn", "analyst-silver"),
        without("OptIn", "analyst-bronze-tables"),
        at("OptIn", "auditor-gold-tables", "resourceDatas.0.table.wildcard", False),
    ],
    "locations_stay_open_to_jobs": [
        inputs("Resource", "gold", hybridAccessEnabled=False),
        inputs("Resource", "gold", hybridAccessEnabled=None),
    ],
    "jobs_see_whole_tables": [
        inputs(
            "Permissions",
            "analyst",
            principal="arn:aws:iam::123456789012:role/acme-lakehouse-prod-land",
        ),
    ],
    "new_tables_are_open_to_jobs": [
        inputs("DataLakeSettings", "lake", createTableDefaultPermissions=None),
    ],
    "the_lake_has_administrators": [inputs("DataLakeSettings", "lake", admins=[])],
    "prod_is_watched": [without_all("Trail"), without_all("Budget")],
    "rights_are_declared_here": [
        more(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            role="acme-lakehouse-prod-land",
            policyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        more("aws:iam/user:User", name="ci"),
        more("aws:iam/accessKey:AccessKey", user="ci"),
    ],
}
