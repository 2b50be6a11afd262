"""What Azure's own clients see: `azure_sees.py READY_FILE zone` makes the zone that an operator has, `azure_sees.py READY_FILE
look` writes jobs, apps, storages, shares and records as JSON.
"""

import json
import os
import sys

from azure_clients import Cloud

ZONE = "sockerless.internal"


def zone(cloud):
    cloud.names.private_zones.begin_create_or_update(cloud.group, ZONE, {"location": "global"}).result()
    network = {"virtualNetwork": {"id": cloud.info["network"]}, "registrationEnabled": False}
    link = {"location": "global", "properties": network}
    cloud.names.virtual_network_links.begin_create_or_update(cloud.group, ZONE, "net", link).result()
    return {}


def job(cloud, job):
    executions = cloud.apps.jobs_executions.list(cloud.group, job.name)
    return {"name": job.name, "tags": job.tags, "executions": [one.properties.status for one in executions]}


def app(cloud, app):
    ingress = app.configuration.ingress
    more = ingress.additional_port_mappings or []
    replicas = cloud.apps.container_apps_revision_replicas.list_replicas(cloud.group, app.name, app.latest_revision_name)
    states = [container.running_state for replica in replicas.value for container in replica.containers]
    ports = [ingress.target_port] + [mapping.target_port for mapping in more]
    return {"name": app.name, "tags": app.tags, "ports": ports, "replicas": states}


def look(cloud):
    account = cloud.info["storage_account"]
    # A listing tells no metadata.
    shares = [share.name for share in cloud.storage.file_shares.list(cloud.group, account)]
    metadata = {name: cloud.storage.file_shares.get(cloud.group, account, name).metadata for name in shares}
    storages = cloud.apps.managed_environments_storages.list(cloud.group, cloud.info["environment"]).value
    files = {one.name: one.properties.azure_file for one in storages}
    addresses = cloud.names.record_sets.list_by_type(cloud.group, ZONE, "A")
    texts = cloud.names.record_sets.list_by_type(cloud.group, ZONE, "TXT")
    return {
        "jobs": [job(cloud, one) for one in cloud.apps.jobs.list_by_resource_group(cloud.group)],
        "apps": [app(cloud, one) for one in cloud.apps.container_apps.list_by_resource_group(cloud.group)],
        "shares": metadata,
        "storages": {name: [file.share_name, file.access_mode] for name, file in files.items()},
        "records": {one.fqdn: [record.ipv4_address for record in one.a_records] for one in addresses},
        "texts": {one.fqdn: ["".join(record.value) for record in one.txt_records] for one in texts},
    }


def main():
    with open(sys.argv[1]) as file:
        ready = json.load(file)
    os.environ["REQUESTS_CA_BUNDLE"] = ready["certificate"]
    print(json.dumps({"zone": zone, "look": look}[sys.argv[2]](Cloud(ready))))


main()
