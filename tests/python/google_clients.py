"""Google's own clients against the simulator: `google_clients.py READY_FILE BUSYBOX`.

Needs google-cloud-run, google-cloud-storage, google-cloud-logging, google-cloud-dns and dnspython.
"""

import json
import os
import sys
import time

import dns.flags
import dns.message
import dns.query
import dns.rcode
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth import credentials
from google.cloud import dns as cloud_dns
from google.cloud import logging_v2, run_v2, storage
from registry_client import Registry


class StaticToken(credentials.Credentials):
    """Credentials that are one token for ever."""

    def __init__(self, token):
        super().__init__()
        self.token = token

    @property
    def expired(self):
        return False

    @property
    def valid(self):
        return True

    def refresh(self, request):
        """There is no other token: the call is tried again with the same one, and refused again."""

    def before_request(self, request, method, url, headers):
        headers["authorization"] = f"Bearer {self.token}"


class Cloud:
    """The clients of one simulator."""

    def __init__(self, ready):
        self.info = ready
        self.parent = f"projects/{ready['project']}/locations/{ready['region']}"
        login = StaticToken(ready["token"])
        options = ClientOptions(api_endpoint=ready["google"])
        rest = {"credentials": login, "transport": "rest", "client_options": options}
        self.jobs = run_v2.JobsClient(**rest)
        self.executions = run_v2.ExecutionsClient(**rest)
        self.tasks = run_v2.TasksClient(**rest)
        self.storage = storage.Client(project=ready["project"], credentials=login, client_options=options)
        self.names = cloud_dns.Client(project=ready["project"], credentials=login, client_options=options)
        self.logs = logging_v2.Client(
            project=ready["project"], credentials=login, client_options=options, _use_grpc=False
        )

    def job(self, image, *command, token=None, **task):
        container = run_v2.Container(image=image, command=list(command))
        container.volume_mounts = [run_v2.VolumeMount(name=v.name, mount_path=f"/{v.name}") for v in task.get("volumes", [])]
        task.setdefault("max_retries", 0)
        template = run_v2.TaskTemplate(containers=[container], **task)
        job = run_v2.Job(template=run_v2.ExecutionTemplate(template=template), labels={"managed-by": "test"})
        if token:
            job.start_execution_token = token
        return job

    def ended(self, name):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            execution = self.executions.get_execution(name=name)
            if execution.completion_time:
                return execution
            time.sleep(0.05)
        raise AssertionError(f"{name} has not ended: {execution}")

    def lines(self, execution):
        """Polls: entries arrive after the execution has ended."""
        names = " OR ".join(
            f'logName="projects/{self.info["project"]}/logs/run.googleapis.com%2F{log}"' for log in ["stdout", "stderr"]
        )
        text = (
            f'resource.type="cloud_run_job" AND labels."run.googleapis.com/execution_name"="{execution}" AND ({names})'
        )
        for _ in range(20):
            found = [(entry.log_name[-6:], entry.payload) for entry in self.logs.list_entries(filter_=text)]
            if found:
                return found
            time.sleep(0.1)
        return []


def check(actual, wanted):
    assert actual == wanted, f"{actual!r} is not {wanted!r}"


def refused(kind, call):
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError(f"expected {kind.__name__}")


def objects(cloud):
    bucket = cloud.storage.create_bucket("clients-test", location="us-central1")
    refused(exceptions.Conflict, lambda: cloud.storage.create_bucket("clients-test"))
    small = bucket.blob("agent/v1/run me")
    small.upload_from_string("#!/bin/sh\necho from the bucket $0\n", content_type="text/x-sh")
    small.reload()
    check(small.content_type, "text/x-sh")
    check(small.size, 34)
    large = os.urandom(3 << 20)
    chunked = bucket.blob("large", chunk_size=256 << 10)
    chunked.upload_from_string(large, if_generation_match=0)
    check(chunked.download_as_bytes(), large)
    check(chunked.download_as_bytes(start=5, end=9), large[5:10])
    refused(exceptions.PreconditionFailed, lambda: bucket.blob("large").upload_from_string("x", if_generation_match=0))
    check(sorted(blob.name for blob in bucket.list_blobs()), ["agent/v1/run me", "large"])
    page = bucket.list_blobs(delimiter="/")
    check([blob.name for blob in page], ["large"])
    check(sorted(page.prefixes), ["agent/"])
    copy = bucket.copy_blob(chunked, bucket, "copy")
    check(copy.md5_hash, chunked.md5_hash)
    both = bucket.blob("both")
    both.compose([small, copy])
    check(both.size, small.size + copy.size)
    small.metadata = {"key": "value"}
    small.patch()
    check(bucket.get_blob("agent/v1/run me").metadata, {"key": "value"})
    for index in range(5):
        bucket.blob(f"many/{index}").upload_from_string("x")
    with cloud.storage.batch():
        for index in range(5):
            bucket.blob(f"many/{index}").delete()
    check(list(bucket.list_blobs(prefix="many/")), [])
    refused(exceptions.NotFound, lambda: bucket.blob("absent").download_as_bytes())
    check([found.name for found in cloud.storage.list_buckets()], ["clients-test"])
    return bucket


def jobs(cloud, image):
    script = "echo out; echo err >&2; hostname; echo $CLOUD_RUN_JOB $CLOUD_RUN_TASK_INDEX; exit 7"
    job = cloud.job(image, "/bin/sh", "-c", script, token="g1")
    operation = cloud.jobs.create_job(parent=cloud.parent, job=job, job_id="first")
    created = operation.result(timeout=60)
    check(created.name, f"{cloud.parent}/jobs/first")
    check(created.latest_created_execution.name, "first-g1")
    execution = cloud.ended(f"{created.name}/executions/first-g1")
    check(execution.failed_count, 1)
    check([condition.state.name for condition in execution.conditions if condition.type_ == "Completed"], ["CONDITION_FAILED"])
    task = list(cloud.tasks.list_tasks(parent=execution.name))[0]
    check(task.last_attempt_result.exit_code, 7)
    check(cloud.tasks.get_task(name=task.name).last_attempt_result.exit_code, 7)
    lines = cloud.lines("first-g1")
    check([text for log, text in lines if log == "stdout"], ["out", "localhost", "first 0"])
    check([text for log, text in lines if log == "stderr"], ["err"])
    message = refused(
        exceptions.Conflict, lambda: cloud.jobs.create_job(parent=cloud.parent, job=job, job_id="first")
    )
    assert "Resource 'first' already exists." in message, message
    check([found.name for found in cloud.jobs.list_jobs(parent=cloud.parent)], [created.name])
    check([found.name for found in cloud.executions.list_executions(parent=created.name)], [execution.name])

    overrides = run_v2.RunJobRequest.Overrides(
        container_overrides=[run_v2.RunJobRequest.Overrides.ContainerOverride(args=["-c", "exit 0"])]
    )
    plain = cloud.job(image, "/bin/sh")
    cloud.jobs.create_job(parent=cloud.parent, job=plain, job_id="second").result(timeout=60)
    second = f"{cloud.parent}/jobs/second"
    ran = cloud.jobs.run_job(run_v2.RunJobRequest(name=second, overrides=overrides)).result(timeout=60)
    check(ran.succeeded_count, 1)

    for name in [created.name, second]:
        cloud.jobs.delete_job(name=name).result(timeout=60)
    message = refused(exceptions.NotFound, lambda: cloud.jobs.get_job(name=second))
    assert "of kind 'JOB'" in message and "does not exist." in message, message


def cancelled(cloud, image):
    job = cloud.job(image, "/bin/sh", "-c", "trap 'echo bye; exit 3' TERM; sleep 1000 & wait", token="g1")
    cloud.jobs.create_job(parent=cloud.parent, job=job, job_id="long").result(timeout=60)
    name = f"{cloud.parent}/jobs/long/executions/long-g1"
    check(cloud.executions.get_execution(name=name).running_count, 1)
    execution = cloud.executions.cancel_execution(name=name).result(timeout=60)
    check(execution.cancelled_count, 1)
    check(execution.conditions[0].execution_reason.name, "CANCELLED")
    check(cloud.lines("long-g1"), [("stdout", "bye")])
    task = list(cloud.tasks.list_tasks(parent=name))[0]
    check(task.last_attempt_result.exit_code, 3)
    cloud.jobs.delete_job(name=f"{cloud.parent}/jobs/long").result(timeout=60)


def mounted(cloud, image):
    """The agent's way into a container."""
    gcs = run_v2.GCSVolumeSource(
        bucket="clients-test", read_only=True, mount_options=["only-dir=agent/v1", "file-mode=755", "implicit-dirs"]
    )
    volume = run_v2.Volume(name="agent", gcs=gcs)
    memory = run_v2.Volume(name="scratch", empty_dir=run_v2.EmptyDirVolumeSource(medium="MEMORY", size_limit="1Mi"))
    script = "'/agent/run me' && echo x > /scratch/f && cat /scratch/f && ! echo x > /agent/f"
    job = cloud.job(image, "/bin/sh", "-c", script, token="g1", volumes=[volume, memory])
    cloud.jobs.create_job(parent=cloud.parent, job=job, job_id="mount").result(timeout=60)
    execution = cloud.ended(f"{cloud.parent}/jobs/mount/executions/mount-g1")
    check(execution.succeeded_count, 1)
    lines = [text for log, text in cloud.lines("mount-g1") if log == "stdout"]
    check(lines, ["from the bucket /agent/run me", "x"])
    cloud.jobs.delete_job(name=f"{cloud.parent}/jobs/mount").result(timeout=60)


def shared(cloud, image):
    """A volume: what one container writes is in the bucket, and another one's."""

    def run(name, script, read_only=False, options=()):
        gcs = run_v2.GCSVolumeSource(
            bucket="clients-test",
            read_only=read_only,
            mount_options=["only-dir=volumes/data", "implicit-dirs", "file-mode=777", "dir-mode=777", *options],
        )
        volume = run_v2.Volume(name="data", gcs=gcs)
        job = cloud.job(image, "/bin/sh", "-ec", script, token="g1", volumes=[volume])
        cloud.jobs.create_job(parent=cloud.parent, job=job, job_id=name).result(timeout=60)
        execution = cloud.ended(f"{cloud.parent}/jobs/{name}/executions/{name}-g1")
        lines = cloud.lines(f"{name}-g1")
        cloud.jobs.delete_job(name=f"{cloud.parent}/jobs/{name}").result(timeout=60)
        assert execution.succeeded_count == 1, lines
        return [text for log, text in lines if log == "stdout"]

    bucket = cloud.storage.bucket("clients-test")
    bucket.blob("volumes/data/given").upload_from_string("from outside\n")
    script = """
        cat /data/given
        mkdir /data/sub
        echo '#!/bin/sh' > /data/sub/tool
        echo 'echo ran $0' >> /data/sub/tool
        /data/sub/tool
        cp /data/sub/tool /data/copy && chmod 600 /data/copy && stat -c %a /data/copy
        echo first > /data/log; echo second >> /data/log
        mv /data/log /data/moved; cat /data/moved
        ln -s moved /data/link; cat /data/link
        ln /data/moved /data/hard 2>/dev/null || echo no hard links
        mv /data/sub /data/other 2>/dev/null || echo a folder stays
        rm /data/copy; ls /data
        dd if=/dev/zero of=/data/large bs=65536 count=48 2>/dev/null
    """
    wanted = [
        "from outside",
        "ran /data/sub/tool",
        "777",
        "first",
        "second",
        "first",
        "second",
        "no hard links",
        "a folder stays",
        "given",
        "link",
        "moved",
        "sub",
    ]
    check(run("writer", script), wanted)
    names = sorted(blob.name.removeprefix("volumes/data/") for blob in bucket.list_blobs(prefix="volumes/data/"))
    check(names, ["given", "large", "link", "moved", "sub/", "sub/tool"])
    check(bucket.blob("volumes/data/moved").download_as_bytes(), b"first\nsecond\n")
    check(bucket.get_blob("volumes/data/large").size, 48 * 65536)
    again = "cat /data/moved; wc -c < /data/large; mv /data/sub /data/other; /data/other/tool; rm -r /data/*; ls -a /data"
    lines = run("another", again, options=["rename-dir-limit=10"])
    check(lines, ["first", "second", str(48 * 65536), "ran /data/other/tool", ".", ".."])
    check([blob.name for blob in bucket.list_blobs(prefix="volumes/data/")], [])
    bucket.blob("volumes/data/given").upload_from_string("x\n")
    refusal = "cat /data/given; echo y > /data/given || echo read only"
    check(run("reader", f"set +e; {refusal}", read_only=True), ["x", "read only"])


def names(cloud):
    """Zones and records by Google's client, and the name server by another's."""
    server, port = cloud.info["dns"].split(":")

    def ask(name, by=dns.query.udp):
        query = dns.message.make_query(f"{name}.ab.sockerless.internal.", "A")
        answer = by(query, server, port=int(port), timeout=10)
        assert answer.flags & dns.flags.AA, answer
        found = sorted(record.address for answers in answer.answer for record in answers)
        return dns.rcode.to_text(answer.rcode()), found, [answers.ttl for answers in answer.answer]

    def change(zone, fill):
        changes = zone.changes()
        fill(changes)
        changes.create()
        while changes.status != "done":
            changes.reload()

    zone = cloud.names.zone("sockerless-net-ab", "ab.sockerless.internal.", "a network")
    zone.create()
    refused(exceptions.Conflict, zone.create)
    check([found.name for found in cloud.names.list_zones()], ["sockerless-net-ab"])
    check(cloud.names.quotas()["rrsetsPerManagedZone"], 10000)
    many = zone.resource_record_set("many.ab.sockerless.internal.", "A", 10, [f"172.18.0.{n}" for n in range(1, 61)])
    db = zone.resource_record_set("db.ab.sockerless.internal.", "A", 10, ["172.18.0.2"])
    change(zone, lambda changes: (changes.add_record_set(db), changes.add_record_set(many)))
    check(ask("db"), ("NOERROR", ["172.18.0.2"], [10]))
    check(ask("none"), ("NXDOMAIN", [], []))
    check(len(ask("many", dns.query.tcp)[1]), 60)
    truncated = dns.message.make_query("many.ab.sockerless.internal.", "A")
    check(len(dns.query.udp_with_fallback(truncated, server, port=int(port), timeout=10)[0].answer[0]), 60)
    records = {record.name: record.rrdatas for record in zone.list_resource_record_sets() if record.record_type == "A"}
    check(records["db.ab.sockerless.internal."], ["172.18.0.2"])
    message = refused(exceptions.BadRequest, zone.delete)
    assert "one or more 'resource records'" in message, message
    change(zone, lambda changes: (changes.delete_record_set(db), changes.delete_record_set(many)))
    check(ask("db"), ("NXDOMAIN", [], []))
    zone.delete()
    check(list(cloud.names.list_zones()), [])


def refusals(cloud, image):
    create = lambda job, parent=cloud.parent: cloud.jobs.create_job(parent=parent, job=job, job_id="bad").result(timeout=60)
    message = refused(exceptions.BadRequest, lambda: create(cloud.job("ghcr.io/a/b", "true")))
    assert "Expected an image path like" in message, message
    refused(exceptions.Forbidden, lambda: create(cloud.job(image, "true"), "projects/other/locations/" + cloud.info["region"]))
    stranger = Cloud({**cloud.info, "token": "stale"})
    message = refused(exceptions.Unauthorized, lambda: list(stranger.jobs.list_jobs(parent=cloud.parent)))
    assert "invalid authentication credentials" in message, message
    refused(exceptions.Unauthorized, lambda: list(stranger.storage.list_buckets()))
    missing = image.replace("/busybox", "/absent")
    message = refused(exceptions.NotFound, lambda: create(cloud.job(missing, "true", token="g1")))
    assert f"Image '{missing}' not found." in message, message
    cloud.jobs.delete_job(name=f"{cloud.parent}/jobs/bad").result(timeout=60)


def entries(cloud):
    logger = cloud.logs.logger("own-log")
    logger.log_text("hello", severity="ERROR", labels={"a.b/c": "d"})
    logger.log_struct({"n": 1})
    found = list(cloud.logs.list_entries(filter_='labels."a.b/c"=d AND severity>=WARNING', order_by="timestamp desc"))
    check([entry.payload for entry in found], ["hello"])
    logger.delete()
    check(list(cloud.logs.list_entries(filter_='logName:"own-log"')), [])


def main():
    with open(sys.argv[1]) as file:
        cloud = Cloud(json.load(file))
    name = f"{cloud.info['project']}/test/busybox"
    Registry(cloud.info["registry"], cloud.info["token"]).push(name, "latest", sys.argv[2])
    image = f"{cloud.info['registry']}/{name}:latest"
    bucket = objects(cloud)
    jobs(cloud, image)
    cancelled(cloud, image)
    mounted(cloud, image)
    shared(cloud, image)
    names(cloud)
    refusals(cloud, image)
    entries(cloud)
    bucket.delete(force=True)
    print("all of Google's clients are content")


if __name__ == "__main__":
    main()
