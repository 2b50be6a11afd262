"""Azure's own clients against the simulator: `azure_clients.py READY_FILE BUSYBOX`.

Needs azure-mgmt-appcontainers, azure-mgmt-storage, azure-mgmt-privatedns, azure-storage-file-share and azure-identity; they
come by TLS, whose certificate REQUESTS_CA_BUNDLE names.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.appcontainers import ContainerAppsAPIClient
from azure.mgmt.privatedns import PrivateDnsManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.storage.fileshare import ShareServiceClient
from registry_client import Registry

SCOPE = "https://management.azure.com/.default"


class Cloud:
    """The clients of one simulator."""

    def __init__(self, ready):
        self.info = ready
        self.group = ready["resource_group"]
        base = {"base_url": ready["azure"], "credential_scopes": [SCOPE]}
        base |= {"polling_interval": 0, "retry_backoff_factor": 0.01}
        who = (self.login(), ready["subscription"])
        self.apps = ContainerAppsAPIClient(*who, **base)
        self.storage = StorageManagementClient(*who, **base)
        self.names = PrivateDnsManagementClient(*who, **base)
        self.environment = (
            f"/subscriptions/{ready['subscription']}/resourceGroups/{self.group}"
            f"/providers/Microsoft.App/managedEnvironments/{ready['environment']}"
        )

    def login(self):
        """An application with a secret, at the simulator's Entra."""
        return ClientSecretCredential(
            self.info["tenant"],
            self.info["client_id"],
            self.info["client_secret"],
            authority=self.info["azure"],
            disable_instance_discovery=True,
        )

    def image(self, name):
        return f"{self.info['registry']}/{name}"

    def job(self, image, *command, retries=0, timeout=60, **template):
        container = {"name": "main", "image": image, "command": list(command)}
        container |= {"resources": {"cpu": 0.25, "memory": "0.5Gi"}, **template.pop("container", {})}
        return {
            "location": self.info["location"],
            "tags": {"sockerless-test": "yes"},
            "properties": {
                "environmentId": self.environment,
                "configuration": {
                    "triggerType": "Manual",
                    "replicaTimeout": timeout,
                    "replicaRetryLimit": retries,
                    "secrets": [{"name": "registry", "value": self.info["token"]}],
                    "registries": [
                        {"server": self.info["registry"], "username": "token", "passwordSecretRef": "registry"}
                    ],
                },
                "template": {"containers": [container], **template},
            },
        }

    def create(self, name, job):
        return self.apps.jobs.begin_create_or_update(self.group, name, job).result()

    def start(self, name):
        return self.apps.jobs.begin_start(self.group, name).result().name

    def wait(self, look, what):
        """What `look` gives, once that is something."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.05)
        raise AssertionError(f"in vain: {what}")

    def ended(self, job, execution):
        def look():
            found = self.apps.job_execution(self.group, job, execution)
            return found if found.properties.status in ("Succeeded", "Failed", "Stopped") else None

        return self.wait(look, f"{execution} ends")

    def query(self, text):
        request = urllib.request.Request(
            f"{self.info['http']}/v1/workspaces/{self.info['workspace']}/query",
            json.dumps({"query": text}).encode(),
            {"Authorization": f"Bearer {self.info['token']}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tables"][0]["rows"]


def refused(call, status, code):
    try:
        call()
    except HttpResponseError as error:
        assert (error.status_code, error.error.code) == (status, code), error
        return
    raise AssertionError(f"{code} was expected")


def code_of(execution):
    (container,) = execution.properties.detailed_status.replicas[-1].containers
    return container.code


def jobs(cloud, image):
    """Jobs are created, listed, started, looked at and deleted."""
    made = cloud.create("greeter", cloud.job(image, "/bin/sh", "-c", "echo hello; echo oops >&2; exit 3"))
    assert made.provisioning_state == "Succeeded" and made.tags == {"sockerless-test": "yes"}
    assert made.configuration.secrets[0].value is None
    assert [job.name for job in cloud.apps.jobs.list_by_resource_group(cloud.group)] == ["greeter"]
    assert cloud.apps.jobs.list_secrets(cloud.group, "greeter").value[0].value == cloud.info["token"]

    execution = cloud.ended("greeter", cloud.start("greeter"))
    assert execution.properties.status == "Failed", execution
    assert code_of(execution) == 3
    rows = cloud.query(
        f"ContainerAppConsoleLogs_CL | where ContainerGroupName_s startswith '{execution.name}'"
        " | order by TimeGenerated asc | project Stream_s, Log_s"
    )
    assert sorted(rows) == [["stderr", "oops"], ["stdout", "hello"]], rows

    cloud.create("good", cloud.job(image, "/bin/true"))
    good = cloud.ended("good", cloud.start("good"))
    assert good.properties.status == "Succeeded" and code_of(good) == 0
    assert [one.name for one in cloud.apps.jobs_executions.list(cloud.group, "good")] == [good.name]

    cloud.create("sleeper", cloud.job(image, "/bin/sh", "-c", "trap 'exit 0' TERM; echo up; sleep 1000 & wait"))
    name = cloud.start("sleeper")
    up = f"ContainerAppConsoleLogs_CL | where ContainerGroupName_s startswith '{name}' | project Log_s"
    # Before that it would not heed the signal.
    cloud.wait(lambda: cloud.query(up) == [["up"]], "the sleeper says that it is up")
    cloud.apps.jobs.begin_stop_execution(cloud.group, "sleeper", name).result()
    assert cloud.ended("sleeper", name).properties.status == "Stopped"

    refused(lambda: cloud.create("greeter--x", cloud.job(image)), 400, "ContainerAppJobInvalidName")
    refused(lambda: cloud.create("other", {"location": "westeurope", "colour": "red"}), 400, "InvalidRequestContent")
    for name in ("greeter", "good", "sleeper"):
        cloud.apps.jobs.begin_delete(cloud.group, name).result()
    assert not list(cloud.apps.jobs.list_by_resource_group(cloud.group))
    try:
        cloud.apps.jobs.get(cloud.group, "greeter")
        raise AssertionError("the job is still there")
    except ResourceNotFoundError as error:
        assert error.error.code == "ResourceNotFound"


def volumes(cloud, image, busybox):
    """A share is written by one job, by the data plane and by another job."""
    account = cloud.info["storage_account"]
    key = cloud.storage.storage_accounts.list_keys(cloud.group, account).keys_property[0].value
    assert key == cloud.info["storage_key"]
    cloud.storage.file_shares.create(cloud.group, account, "data", {"properties": {"shareQuota": 1}})
    assert [share.name for share in cloud.storage.file_shares.list(cloud.group, account)] == ["data"]
    storage = {"accountName": account, "accountKey": key, "shareName": "data", "accessMode": "ReadWrite"}
    cloud.apps.managed_environments_storages.create_or_update(
        cloud.group, cloud.info["environment"], "data", {"properties": {"azureFile": storage}}
    )

    files = ShareServiceClient(f"{cloud.info['azure']}/files/{account}", credential={"account_name": account, "account_key": key})
    share = files.get_share_client("data")
    folder = share.create_directory("in")
    folder.upload_file("a.txt", b"from outside")
    with open(busybox, "rb") as file:
        folder.upload_file("busybox", file)

    def run(name, script, options="uid=7,gid=8,file_mode=0640"):
        volume = [{"name": "v", "storageType": "AzureFile", "storageName": "data", "mountOptions": options}]
        mount = {"volumeMounts": [{"volumeName": "v", "mountPath": "/v", "subPath": "in"}]}
        cloud.create(name, cloud.job(image, "/bin/sh", "-c", script, volumes=volume, container=mount))
        execution = cloud.ended(name, cloud.start(name))
        assert execution.properties.status == "Succeeded", execution
        cloud.apps.jobs.begin_delete(cloud.group, name).result()

    run("writer", "test \"$(cat /v/A.TXT)\" = 'from outside' && echo inside > /v/b && stat -c '%u %g %a' /v/b")
    assert cloud.query("ContainerAppConsoleLogs_CL | where ContainerJobName_s == 'writer' | project Log_s") == [["7 8 640"]]
    run("reader", "test \"$(cat /v/b)\" = inside && busybox rm /v/a.txt")
    run("links", "b=busybox; ! $b ln -s b /v/c && ! $b ln /v/b /v/d && ! $b mkfifo /v/e && $b mv /v/b /v/d && test \"$(echo /v/*)\" = '/v/busybox /v/d' && $b mv /v/d /v/b")
    run("tool", "b=/v/busybox; $b cp /v/b /v/c && $b ln -s b /v/l && test \"$(cat /v/l)\" = inside && $b rm /v/l /v/c", "file_mode=0755,mfsymlinks")
    folder.delete_file("busybox")
    assert [entry["name"] for entry in folder.list_directories_and_files()] == ["b"]
    assert folder.get_file_client("b").download_file().readall() == b"inside\n"
    folder.delete_file("b")
    share.delete_directory("in")
    cloud.storage.file_shares.delete(cloud.group, account, "data")
    assert not list(cloud.storage.file_shares.list(cloud.group, account))


def zones(cloud):
    """A private zone with its link and its records."""
    zone = "abc.sockerless.internal"
    made = cloud.names.private_zones.begin_create_or_update(cloud.group, zone, {"location": "global"}).result()
    assert made.provisioning_state == "Succeeded"
    link = {"location": "global", "properties": {"virtualNetwork": {"id": cloud.info["network"]}, "registrationEnabled": False}}
    linked = cloud.names.virtual_network_links.begin_create_or_update(cloud.group, zone, "net", link).result()
    assert linked.virtual_network_link_state == "Completed"
    record = {"properties": {"ttl": 10, "aRecords": [{"ipv4Address": "172.18.0.2"}]}}
    cloud.names.record_sets.create_or_update(cloud.group, zone, "A", "db", record)
    (found,) = cloud.names.record_sets.list_by_type(cloud.group, zone, "A")
    assert (found.fqdn, found.a_records[0].ipv4_address) == (f"db.{zone}.", "172.18.0.2")
    assert cloud.names.private_zones.get(cloud.group, zone).number_of_record_sets == 2
    refused(lambda: cloud.names.private_zones.begin_delete(cloud.group, zone).result(), 409, "CannotDeleteResource")
    cloud.names.record_sets.delete(cloud.group, zone, "A", "db")
    cloud.names.virtual_network_links.begin_delete(cloud.group, zone, "net").result()
    cloud.names.private_zones.begin_delete(cloud.group, zone).result()
    left = cloud.names.private_zones.list_by_resource_group(cloud.group)
    assert [zone.name for zone in left] == [cloud.info["dns_zone"]]


def identities(cloud):
    """A managed identity's token opens what it is for, and nothing else."""
    request = urllib.request.Request(
        f"{cloud.info['identity_endpoint']}?api-version=2019-08-01&resource=https://storage.azure.com",
        headers={"X-IDENTITY-HEADER": cloud.info["identity_header"]},
    )
    with urllib.request.urlopen(request) as answer:
        token = json.load(answer)["access_token"]

    class Login:
        def get_token(self, *_scopes, **_kwargs):
            return AccessToken(token, int(time.time()) + 60)

    account = cloud.info["storage_account"]
    files = ShareServiceClient(f"{cloud.info['azure']}/files/{account}", credential=Login(), token_intent="backup")
    try:
        files.get_share_client("none").get_directory_client("x").get_directory_properties()
        raise AssertionError("there is no such share")
    except ResourceNotFoundError as error:
        assert error.error_code == "ShareNotFound", error
    wrong = ContainerAppsAPIClient(
        Login(), cloud.info["subscription"], base_url=cloud.info["azure"], credential_scopes=[SCOPE], retry_total=0
    )
    refused(lambda: list(wrong.jobs.list_by_subscription()), 401, "InvalidAuthenticationTokenAudience")


def main():
    with open(sys.argv[1]) as file:
        ready = json.load(file)
    os.environ["REQUESTS_CA_BUNDLE"] = ready["certificate"]
    cloud = Cloud(ready)
    Registry(ready["registry"], ready["token"]).push("test/busybox", "latest", sys.argv[2])
    image = cloud.image("test/busybox")
    for part in (identities, zones):
        part(cloud)
    jobs(cloud, image)
    volumes(cloud, image, sys.argv[2])


if __name__ == "__main__":
    main()
