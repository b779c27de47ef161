"""Mistakes of jobs, of what starts them, and of Airflow, under the rule that has to find them."""

from __future__ import annotations

from typing import Final

from support.planting import Plant, at, inputs, more, statement, without

BUCKET = "arn:aws:s3:::acme-lakehouse-prod-"
ROLE = "arn:aws:iam::123456789012:role/"
SECURED = "SecurityConfiguration"
LOGGING = "loggingConfiguration"

MISTAKES: Final[dict[str, list[Plant]]] = {
    "runs_do_not_wait_in_a_queue": [
        inputs("Job", "land", jobRunQueuingEnabled=True),
        inputs("Job", "land", jobRunQueuingEnabled=None),
    ],
    "runs_have_no_twin": [
        inputs("Job", "land", executionProperty={"maxConcurrentRuns": 2.0}),
        inputs("Job", "land", executionProperty=None),
    ],
    "nobody_but_airflow_retries": [inputs("Job", "land", maxRetries=1.0)],
    "streaming_jobs_are_restarted": [
        inputs("Job", "ingest-main", timeout=2880.0),
        inputs("Job", "ingest-main", maintenanceWindow=None),
        inputs("Job", "ingest-main", maintenanceWindow=""),
    ],
    "batch_jobs_end": [
        inputs("Job", "promote", timeout=None),
        inputs("Job", "promote", timeout=0.0),
    ],
    "flex_is_for_batch_on_common_workers": [
        inputs("Job", "ingest-main", executionClass="FLEX"),
        inputs("Job", "land", executionClass="FLEX", workerType="R.1X"),
    ],
    "every_job_has_a_role_of_its_own": [
        inputs("Job", "land", roleArn=f"{ROLE}acme-lakehouse-prod-promote"),
        inputs("Job", "land", roleArn=f"{ROLE}admin"),
        inputs("Role", "land", assumeRolePolicy='{"Statement": []}'),
    ],
    "jobs_find_what_they_are_told_of": [
        at("Job", "land", "command.scriptLocation", "s3://acme-lakehouse-prod-artifacts/land.py"),
        statement("RolePolicy", "land", "ArtifactsObjects"),
        statement("RolePolicy", "land", "Environment"),
    ],
    "jobs_may_log": [
        statement("RolePolicy", "land", "Logs"),
        statement("RolePolicy", "land", "Logs", Resource=["arn:aws:logs:eu-west-1:1:log-group:x"]),
    ],
    "no_secret_is_an_argument": [
        at("Job", "land", "defaultArguments.--api-token", "abc"),
        at("Job", "land", "defaultArguments.--prefix", "AKIAIOSFODNN7EXAMPLE"),
    ],
    "jobs_run_in_the_network_if_there_is_one": [
        inputs("Job", "land", connections=None),
        statement("RolePolicy", "land", "NetworkInterfaces"),
    ],
    "jobs_run_on_the_tested_release": [
        inputs("Job", "land", glueVersion="5.0"),
        inputs("Job", "land", glueVersion=None),
    ],
    "jobs_know_the_catalog": [
        at("Job", "land", "defaultArguments.--datalake-formats", "hudi"),
        at(
            "Job",
            "land",
            "defaultArguments.--conf",
            "spark.sql.catalog.lake.type=glue --conf spark.sql.catalog.lake.io-impl=S3FileIO",
        ),
    ],
    "environments_come_without_a_resolver": [
        at("Job", "land", "defaultArguments.--python-modules-installer-option", "-r"),
        at("Job", "land", "defaultArguments.--python-virtual-env-storage-prefix", None),
    ],
    "progress_is_in_the_ledger_alone": [
        at("Job", "land", "defaultArguments.--job-bookmark-option", "job-bookmark-enable"),
    ],
    "jobs_encrypt_what_they_leave": [
        inputs("Job", "land", securityConfiguration=None),
        inputs("Job", "land", securityConfiguration="another"),
    ],
    "security_configurations_leave_nothing_out": [
        at(SECURED, "jobs", "encryptionConfiguration.s3Encryption.s3EncryptionMode", "SSE-S3"),
        at(SECURED, "jobs", "encryptionConfiguration.jobBookmarksEncryption", None),
        at(SECURED, "jobs", "encryptionConfiguration.cloudwatchEncryption.kmsKeyArn", None),
    ],
    "schedules_may_start_their_jobs": [
        statement("RolePolicy", "supervisor", "Start"),
        statement("RolePolicy", "supervisor", "ScheduleKey"),
    ],
    "ended_ingest_jobs_are_started_again": [without("Schedule", "ingest-main")],
    "every_failed_run_is_told": [
        without("EventTarget", "failed-runs"),
        inputs("Job", "land", name="acme-land"),
        inputs(
            "EventRule",
            "failed-runs",
            eventPattern=(
                '{"source": ["aws.glue"], "detail": '
                '{"jobName": [{"prefix": "acme-lakehouse-prod-"}], "state": ["FAILED"]}}'
            ),
        ),
    ],
    "buckets_tell_of_arrivals": [
        without("BucketNotification", "arrivals"),
        inputs("BucketNotification", "arrivals", eventbridge=False),
    ],
    "events_are_sent_again": [
        inputs("EventTarget", "failed-runs", retryPolicy=None),
        at("EventTarget", "arrivals", "retryPolicy.maximumRetryAttempts", 0.0),
    ],
    "airflow_has_a_role_of_its_own": [
        inputs("Environment", "airflow", executionRoleArn=f"{ROLE}acme-lakehouse-prod-land"),
    ],
    "airflow_is_the_tested_one": [inputs("Environment", "airflow", airflowVersion="2.10.3")],
    "airflow_is_encrypted_by_the_estates_keys": [inputs("Environment", "airflow", kmsKey=None)],
    "airflow_logs_everything": [
        at("Environment", "airflow", f"{LOGGING}.taskLogs.enabled", False),
        at("Environment", "airflow", f"{LOGGING}.workerLogs", None),
    ],
    "connections_are_secrets": [
        at("Environment", "airflow", "airflowConfigurationOptions", {"core.load_examples": "no"}),
    ],
    "airflow_takes_new_requirements": [
        inputs("Environment", "airflow", requirementsS3ObjectVersion=None),
    ],
    "airflow_is_private_where_there_is_a_way_in": [
        more("aws:ec2/vpnGateway:VpnGateway", vpcId="vpc-network"),
    ],
    "airflow_stands_in_two_zones": [
        at("Environment", "airflow", "networkConfiguration.subnetIds", ["subnet-private-0"]),
    ],
}
