"""What Google's own clients see: `google_sees.py READY_FILE push BUSYBOX` pushes an image, `google_sees.py READY_FILE look`
writes zones with their addresses, and objects with their sizes, as JSON.
"""

import json
import sys

from google_clients import Cloud
from registry_client import Registry


def look(cloud):
    zones = {}
    for zone in cloud.names.list_zones():
        records = {
            record.name: [record.ttl, record.rrdatas]
            for record in zone.list_resource_record_sets()
            if record.record_type == "A"
        }
        zones[zone.name] = {"dns_name": zone.dns_name, "records": records}
    objects = {blob.name: blob.size for bucket in cloud.storage.list_buckets() for blob in bucket.list_blobs()}
    return {"zones": zones, "objects": objects}


def main():
    with open(sys.argv[1]) as file:
        ready = json.load(file)
    if sys.argv[2] == "push":
        Registry(ready["registry"], ready["token"]).push(f"{ready['project']}/test/busybox", "latest", sys.argv[3])
    else:
        print(json.dumps(look(Cloud(ready))))


if __name__ == "__main__":
    main()
