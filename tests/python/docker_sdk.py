"""What scripts do with the Python docker SDK. Arguments: a part's name, and the daemon's address."""

import io
import socket
import sys
import tarfile
import time

import docker

PATIENCE_SECONDS = 60


def running(client, **options):
    return client.containers.run("busybox", "sleep 100000", name="box", detach=True, **options)


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r} rather than {expected!r}")


def refused(call, status, words):
    try:
        call()
    except docker.errors.APIError as error:
        equal(error.response.status_code, status)
        assert words in error.explanation, error.explanation
    else:
        raise AssertionError(f"{words!r} was not refused")


def exec_part(client):
    box = running(client, environment={"FROM": "container"}, working_dir="/tmp")
    equal(tuple(box.exec_run("echo hello")), (0, b"hello\n"))
    equal(box.exec_run(["sh", "-c", "exit 7"]).exit_code, 7)
    both = ["sh", "-c", "echo out; echo err >&2"]
    equal(box.exec_run(both, demux=True).output, (b"out\n", b"err\n"))
    equal(box.exec_run(both, stderr=False).output, b"out\n")
    equal(box.exec_run(both, stdout=False).output, b"err\n")
    equal(box.exec_run(["sh", "-c", "test -t 1 && echo tty"], tty=True).output, b"tty\r\n")
    script = 'echo "$FROM $MORE $(pwd) $(id -u)"'
    equal(box.exec_run(["sh", "-c", script]).output, b"container  /tmp 0\n")
    own = box.exec_run(
        ["sh", "-c", script], environment=["FROM=exec", "MORE=x"], workdir="/etc", user="nobody", privileged=True
    )
    equal(own.output, b"exec x /etc 65534\n")
    equal(box.exec_run(["sh", "-c", script], environment={"MORE": "y"}).output, b"container y /tmp 0\n")
    stream = box.exec_run(["sh", "-c", "echo one; sleep 0.2; echo two"], stream=True)
    equal(stream.exit_code, None)
    equal(b"".join(stream.output), b"one\ntwo\n")
    stream = box.exec_run(both, stream=True, demux=True)
    equal(sorted(stream.output, key=str), sorted([(b"out\n", None), (None, b"err\n")], key=str))
    missing = box.exec_run("nope")
    equal(missing.exit_code, 127)
    assert b'exec: "nope": executable file not found in $PATH' in missing.output, missing.output
    assert not box.exec_run("true", detach=True).output
    large = box.exec_run(["sh", "-c", "seq 1 1000000"]).output
    equal(large, b"".join(b"%d\n" % number for number in range(1, 1_000_001)))
    box.kill()
    box.wait()
    refused(lambda: box.exec_run("true"), 409, "is not running")
    refused(lambda: client.api.exec_inspect("ghost"), 404, "No such exec instance: ghost")


def read_all(stream):
    everything = b""
    while piece := stream.recv(65536):
        everything += piece
    return everything


def sockets_part(client):
    box, api = running(client), client.api
    made = api.exec_create(box.id, ["sh", "-c", "cat; exit 3"], stdin=True, tty=False)
    equal(sorted(made), ["Id"])
    look = api.exec_inspect(made["Id"])
    equal((look["Running"], look["ExitCode"], look["Pid"], look["OpenStdin"]), (False, None, 0, True))
    equal(look["ProcessConfig"]["entrypoint"], "sh")
    stream = api.exec_start(made["Id"], socket=True)._sock
    stream.sendall(b"x" * 100_000)
    look = api.exec_inspect(made["Id"])
    equal((look["Running"], look["ExitCode"]), (True, None))
    assert look["Pid"] > 1 and box.attrs["Id"] == look["ContainerID"]
    box.reload()
    equal(box.attrs["ExecIDs"], [made["Id"]])
    stream.shutdown(socket.SHUT_WR)
    frames, payload = read_all(stream), b""
    while frames:
        equal(frames[:4], b"\x01\0\0\0")
        length = int.from_bytes(frames[4:8], "big")
        payload, frames = payload + frames[8 : 8 + length], frames[8 + length :]
    equal(payload, b"x" * 100_000)
    equal(api.exec_inspect(made["Id"])["ExitCode"], 3)
    refused(lambda: api.exec_start(made["Id"]), 409, "has already run")

    made = api.exec_create(box.id, ["sh", "-c", "read x; stty size; exit 4"], stdin=True, tty=True)
    stream = api.exec_start(made["Id"], socket=True, tty=True)._sock
    api.exec_resize(made["Id"], height=33, width=111)
    stream.sendall(b"go\n")
    equal(read_all(stream), b"go\r\n33 111\r\n")
    equal(api.exec_inspect(made["Id"])["ExitCode"], 4)


def usage_part(client):
    box = client.containers.run(
        "busybox", ["sh", "-c", "while :; do :; done"], name="box", detach=True, mem_limit="256m"
    )
    top = box.top()
    equal(top["Titles"], ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"])
    equal([row[-1] for row in top["Processes"]], ["sh -c while :; do :; done"])
    aux = box.top(ps_args="aux")
    equal((aux["Titles"][0], aux["Titles"][-1]), ("USER", "COMMAND"))
    refused(lambda: box.top(ps_args="--bogus"), 500, "unknown gnu long option")

    once = box.stats(stream=False)
    equal((once["id"], once["name"]), (box.id, "/box"))
    used = once["cpu_stats"]["cpu_usage"]["total_usage"] - once["precpu_stats"]["cpu_usage"]["total_usage"]
    spent = once["cpu_stats"]["system_cpu_usage"] - once["precpu_stats"]["system_cpu_usage"]
    share = used / spent * once["cpu_stats"]["online_cpus"]
    assert 0.01 < share < 1.5, once
    assert 0 < once["memory_stats"]["usage"] <= once["memory_stats"]["limit"], once
    assert once["pids_stats"]["current"] >= 1, once
    for name in ["blkio_stats", "storage_stats", "num_procs", "read", "preread"]:
        assert name in once, name
    stream = box.stats(stream=True, decode=True)
    first, second = next(stream), next(stream)
    equal(second["precpu_stats"], first["cpu_stats"])
    equal(second["preread"], first["read"])
    stream.close()
    box.kill()
    box.wait()
    idle = box.stats(stream=False)
    equal((idle["memory_stats"], idle["cpu_stats"]["cpu_usage"]["total_usage"]), ({}, 0))
    refused(box.top, 409, "is not running")


def ports_part(client):
    box = client.containers.run(
        "busybox",
        ["sh", "-c", "while :; do echo from the container | nc -l -p 8080; done"],
        detach=True,
        ports={"8080/tcp": ("127.0.0.1", None)},
    )
    box.reload()
    (mapping,) = box.ports["8080/tcp"]
    equal(mapping["HostIp"], "127.0.0.1")
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        with socket.create_connection(("127.0.0.1", int(mapping["HostPort"])), PATIENCE_SECONDS) as stream:
            stream.shutdown(socket.SHUT_WR)
            if (answer := read_all(stream)) or time.monotonic() > end:
                break
    equal(answer, b"from the container\n")


def archive(**files):
    """A tar archive of files by name."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), 0o640, 1_600_000_000
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def unpacked(pieces):
    """What is in a tar archive that comes in pieces: content by name."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isfile()}


def files_part(client):
    box = client.containers.create("busybox", ["sh", "-c", "cat /tmp/early; sleep 100000"], name="box")
    assert box.put_archive("/tmp", archive(early=b"delivered ahead"))
    box.start()
    large = bytes(range(256)) * 20_000
    assert box.put_archive("/tmp", archive(small=b"small", large=large))
    equal(box.exec_run("stat -c %a:%s:%Y /tmp/small").output, b"640:5:1600000000\n")
    equal(unpacked(box.get_archive("/tmp/large")[0]), {"large": large})
    pieces, stat = box.get_archive("/tmp/small", chunk_size=3, encode_stream=True)
    equal((stat["name"], stat["size"], stat["linkTarget"]), ("small", 5, ""))
    equal(unpacked(pieces), {"small": b"small"})
    equal(unpacked(box.get_archive("/tmp")[0])["tmp/early"], b"delivered ahead")
    changes = {change["Path"]: change["Kind"] for change in box.diff()}
    equal((changes["/tmp"], changes["/tmp/small"]), (0, 1))
    assert unpacked(box.export())["tmp/small"] == b"small"
    refused(lambda: box.get_archive("/no/such"), 404, "Could not find the file /no/such in container")
    refused(lambda: box.put_archive("/no/such", archive(a=b"")), 404, "Could not find the file /no/such in container")
    equal(box.logs(), b"delivered ahead")


def networks_part(client):
    pool = docker.types.IPAMPool(subnet="10.77.0.0/24", gateway="10.77.0.1")
    mine = client.networks.create(
        "mine", driver="bridge", labels={"of": "test"}, ipam=docker.types.IPAMConfig(pool_configs=[pool]), check_duplicate=True
    )
    other = client.networks.create("other")
    equal([network.name for network in client.networks.list(names=["mine"])], ["mine"])
    equal(client.networks.get("mine").attrs["IPAM"]["Config"][0]["Subnet"], "10.77.0.0/24")
    refused(lambda: client.networks.create("mine"), 409, "network with name mine already exists")

    serve = "mkdir /tmp/w; echo {0} > /tmp/w/index.html; exec httpd -f -p 80 -h /tmp/w"
    api = client.api
    endpoint = api.create_endpoint_config(aliases=["api", "web"], ipv4_address="10.77.0.50")
    made = api.create_container(
        "busybox",
        ["sh", "-c", serve.format("low level")],
        name="low",
        host_config=api.create_host_config(network_mode="mine"),
        networking_config=api.create_networking_config({"mine": endpoint}),
    )
    api.start(made["Id"])
    shown = api.inspect_container(made["Id"])["NetworkSettings"]["Networks"]["mine"]
    equal(shown["IPAddress"], "10.77.0.50")
    assert {"api", "web"} <= set(shown["Aliases"]), shown
    high = client.containers.run("busybox", ["sh", "-c", serve.format("high level")], name="high", detach=True, network="other")
    # Live, with names of its own.
    mine.connect(high, aliases=["late"])
    high.reload()
    equal(sorted(high.attrs["NetworkSettings"]["Networks"]), ["mine", "other"])
    mine.reload()
    equal(sorted(container.name for container in mine.containers), ["high", "low"])

    get = "until wget -qO- http://{0}/ 2>/dev/null; do sleep 0.1; done"
    for network, name, said in [
        ("mine", "api", b"low level\n"),
        ("mine", "web", b"low level\n"),
        ("mine", "10.77.0.50", b"low level\n"),
        ("mine", "late", b"high level\n"),
        ("other", "high", b"high level\n"),
    ]:
        heard = client.containers.run("busybox", ["sh", "-c", get.format(name)], network=network, remove=True)
        equal((network, name, heard), (network, name, said))
    refused(mine.remove, 403, "has active endpoints")
    mine.disconnect(high)
    for name in ["low", "high"]:
        client.containers.get(name).remove(force=True)
    mine.remove()
    equal([pruned for pruned in client.networks.prune()["NetworksDeleted"]], ["other"])


def main():
    part, address = sys.argv[1:]
    client = docker.DockerClient(base_url=address, timeout=PATIENCE_SECONDS)
    globals()[f"{part}_part"](client)


main()
