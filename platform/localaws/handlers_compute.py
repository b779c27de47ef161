"""Handlers of roles, the catalog's databases and tables, Glue jobs and Athena workgroups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localaws.handlers import Endpoint, Made, found, handles

_STORAGE: Final = {
    "location": "Location",
    "inputFormat": "InputFormat",
    "outputFormat": "OutputFormat",
}


@handles("aws:iam/role:Role")
def role(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A role."""
    iam = endpoint.client("iam")
    name, trust = inputs["name"], inputs["assumeRolePolicy"]
    known = found(lambda: iam.get_role(RoleName=name), "NoSuchEntity")
    if known is None:
        known = iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=trust, Description=inputs["description"]
        )
    else:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
    return name, {"arn": known["Role"]["Arn"]}


@handles("aws:iam/rolePolicy:RolePolicy")
def role_policy(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """What a role may do."""
    endpoint.client("iam").put_role_policy(
        RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
    )
    return f"{inputs['role']}:{inputs['name']}", {}


@handles("aws:glue/catalogDatabase:CatalogDatabase")
def database(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A database of the catalog."""
    glue = endpoint.client("glue")
    name = inputs["name"]
    wanted = {
        "Name": name,
        "Description": inputs["description"],
        "LocationUri": inputs["locationUri"],
    }
    if found(lambda: glue.get_database(Name=name), "EntityNotFoundException") is None:
        glue.create_database(DatabaseInput=wanted)
    else:
        glue.update_database(Name=name, DatabaseInput=wanted)
    return name, {}


@handles("aws:glue/catalogTable:CatalogTable")
def table(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A table over files, or a view."""
    glue = endpoint.client("glue")
    database, name, storage = inputs["databaseName"], inputs["name"], inputs["storageDescriptor"]
    descriptor: dict[str, Any] = {"Columns": [_column(column) for column in storage["columns"]]}
    for said, meant in _STORAGE.items():
        if said in storage:
            descriptor[meant] = storage[said]
    if "serDeInfo" in storage:
        library = storage["serDeInfo"]["serializationLibrary"]
        descriptor["SerdeInfo"] = {"SerializationLibrary": library}
    wanted = {
        "Name": name,
        "Description": inputs["description"],
        "TableType": inputs["tableType"],
        "Parameters": inputs["parameters"],
        "PartitionKeys": [_column(key) for key in inputs.get("partitionKeys", [])],
        "StorageDescriptor": descriptor,
        "ViewOriginalText": inputs.get("viewOriginalText", ""),
        "ViewExpandedText": inputs.get("viewExpandedText", ""),
    }
    known = found(
        lambda: glue.get_table(DatabaseName=database, Name=name), "EntityNotFoundException"
    )
    (glue.update_table if known else glue.create_table)(DatabaseName=database, TableInput=wanted)
    return f"{endpoint.account}:{database}:{name}", {}


def _column(declared: Mapping[str, Any]) -> dict[str, Any]:
    return {"Name": declared["name"], "Type": declared["type"]}


@handles("aws:glue/securityConfiguration:SecurityConfiguration")
def security_configuration(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """How Glue encrypts; it cannot be changed, so one of another content is made anew."""
    glue = endpoint.client("glue")
    name = inputs["name"]
    encryption = inputs["encryptionConfiguration"]
    cloudwatch = encryption["cloudwatchEncryption"]
    bookmarks = encryption["jobBookmarksEncryption"]
    s3 = encryption["s3Encryption"]
    wanted = {
        "S3Encryption": [
            {"S3EncryptionMode": s3["s3EncryptionMode"], "KmsKeyArn": s3["kmsKeyArn"]}
        ],
        "CloudWatchEncryption": {
            "CloudWatchEncryptionMode": cloudwatch["cloudwatchEncryptionMode"],
            "KmsKeyArn": cloudwatch["kmsKeyArn"],
        },
        "JobBookmarksEncryption": {
            "JobBookmarksEncryptionMode": bookmarks["jobBookmarksEncryptionMode"],
            "KmsKeyArn": bookmarks["kmsKeyArn"],
        },
    }
    known = found(lambda: glue.get_security_configuration(Name=name), "EntityNotFoundException")
    if known and known["SecurityConfiguration"]["EncryptionConfiguration"] != wanted:
        glue.delete_security_configuration(Name=name)
        known = None
    if known is None:
        glue.create_security_configuration(Name=name, EncryptionConfiguration=wanted)
    return name, {}


@handles("aws:glue/job:Job")
def job(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A job's definition."""
    glue = endpoint.client("glue")
    name, command = inputs["name"], inputs["command"]
    wanted = {
        "Role": inputs["roleArn"],
        "Command": {
            "Name": command["name"],
            "PythonVersion": command["pythonVersion"],
            "ScriptLocation": command["scriptLocation"],
        },
        "DefaultArguments": inputs["defaultArguments"],
        "GlueVersion": inputs["glueVersion"],
        "WorkerType": inputs["workerType"],
        "NumberOfWorkers": int(inputs["numberOfWorkers"]),
        "SecurityConfiguration": inputs["securityConfiguration"],
        "MaxRetries": int(inputs["maxRetries"]),
        "JobRunQueuingEnabled": inputs["jobRunQueuingEnabled"],
        "ExecutionProperty": {
            "MaxConcurrentRuns": int(inputs["executionProperty"]["maxConcurrentRuns"])
        },
    }
    if "timeout" in inputs:
        wanted["Timeout"] = int(inputs["timeout"])
    if "executionClass" in inputs:
        wanted["ExecutionClass"] = inputs["executionClass"]
    if "maintenanceWindow" in inputs:
        wanted["MaintenanceWindow"] = inputs["maintenanceWindow"]
    if found(lambda: glue.get_job(JobName=name), "EntityNotFoundException") is None:
        glue.create_job(Name=name, **wanted)
    else:
        glue.update_job(JobName=name, JobUpdate=wanted)
    return name, {"arn": f"arn:aws:glue:{endpoint.region}:{endpoint.account}:job/{name}"}


@handles("aws:athena/workgroup:Workgroup")
def workgroup(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A workgroup."""
    athena = endpoint.client("athena")
    name, configuration = inputs["name"], inputs["configuration"]
    result = configuration["resultConfiguration"]
    encryption = result["encryptionConfiguration"]
    results = {
        "OutputLocation": result["outputLocation"],
        "EncryptionConfiguration": {
            "EncryptionOption": encryption["encryptionOption"],
            "KmsKey": encryption["kmsKeyArn"],
        },
    }
    settings = {
        "EnforceWorkGroupConfiguration": configuration["enforceWorkgroupConfiguration"],
        "PublishCloudWatchMetricsEnabled": configuration["publishCloudwatchMetricsEnabled"],
        "BytesScannedCutoffPerQuery": int(configuration["bytesScannedCutoffPerQuery"]),
        "EngineVersion": {
            "SelectedEngineVersion": configuration["engineVersion"]["selectedEngineVersion"]
        },
    }
    if name in {group["Name"] for group in athena.list_work_groups()["WorkGroups"]}:
        athena.update_work_group(
            WorkGroup=name,
            Description=inputs["description"],
            ConfigurationUpdates=settings | {"ResultConfigurationUpdates": results},
        )
    else:
        athena.create_work_group(
            Name=name,
            Description=inputs["description"],
            Configuration=settings | {"ResultConfiguration": results},
        )
    return name, {"arn": f"arn:aws:athena:{endpoint.region}:{endpoint.account}:workgroup/{name}"}


@handles("aws:athena/namedQuery:NamedQuery")
def named_query(endpoint: Endpoint, inputs: Mapping[str, Any]) -> Made:
    """A saved query, known by its name in its workgroup; one of another content is made anew."""
    athena = endpoint.client("athena")
    wanted = {
        "Name": inputs["name"],
        "Description": inputs["description"],
        "Database": inputs["database"],
        "QueryString": inputs["query"],
        "WorkGroup": inputs["workgroup"],
    }
    ids = athena.list_named_queries(WorkGroup=inputs["workgroup"])["NamedQueryIds"]
    # Other queries are made at the same time, so that some of these may be gone by now.
    there = athena.batch_get_named_query(NamedQueryIds=ids)["NamedQueries"] if ids else []
    for known in there:
        if known["Name"] != inputs["name"]:
            continue
        if known == known | wanted:
            return known["NamedQueryId"], {}
        athena.delete_named_query(NamedQueryId=known["NamedQueryId"])
    return athena.create_named_query(**wanted)["NamedQueryId"], {}
