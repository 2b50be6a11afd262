"""What GitLab Runner's docker executor asks of the Docker API for one job, in its order. Arguments: how services are found
(`network` or `links`), and the daemon's address."""

import socket
import sys

import docker

PATIENCE_SECONDS = 120
# Written by the project's first commit, and read by its build.
SETUP = """
mkdir -p /srv/group && cd /srv/group && git init -q -b main --bare project.git && git init -q work && cd work
git config user.email who@example.invalid && git config user.name who
printf 'create table t (n int);\\ninsert into t values (20), (22);\\n' > schema.sql
mkdir -p deep/er && seq 5000 > deep/er/numbers && git add . && git commit -qm first
git push -q ../project.git HEAD:refs/heads/main
exec git daemon --export-all --base-path=/srv --reuseaddr
"""


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r} rather than {expected!r}")


class Job:
    """The containers, volumes and networks of one job."""

    def __init__(self, api, mode):
        self.api, self.mode = api, mode
        self.services, self.containers, self.links = {}, [], {}
        self.network = None
        if mode == "network":
            self.network = api.create_network("runner-abc-project-1", labels={"com.gitlab.gitlab-runner.managed": "true"})["Id"]

    def create(self, name, image, command=None, aliases=(), binds=(), build=False, environment=None):
        config = {
            "Image": image,
            "Hostname": "" if not build else "runner-abc-project-1-concurrent-0",
            "Cmd": command,
            "Env": [f"{key}={value}" for key, value in (environment or {}).items()],
            "Labels": {"com.gitlab.gitlab-runner.managed": "true", "com.gitlab.gitlab-runner.type": name},
            "Tty": False,
            "AttachStdin": build,
            "AttachStdout": build,
            "AttachStderr": build,
            "OpenStdin": build,
            "StdinOnce": build,
            "HostConfig": {
                "Binds": list(binds),
                "NetworkMode": self.network or "",
                "RestartPolicy": {"Name": "no"},
                "LogConfig": {"Type": "json-file"},
                "Links": [f"{container}:{alias}" for alias, container in self.links.items()] if build else [],
            },
            "NetworkingConfig": {"EndpointsConfig": {self.network: {"Aliases": list(aliases)}} if self.network else {}},
        }
        made = self.api.create_container_from_config(config, f"runner-abc-project-1-concurrent-0-{name}")
        self.containers.append(made["Id"])
        return made["Id"]

    def once(self, name, image, command, binds=(), environment=None):
        """A container for one command: start, wait, remove."""
        container = self.create(name, image, command, binds=binds, environment=environment)
        self.api.start(container)
        ended = self.api.wait(container, condition="not-running")
        logs = self.api.logs(container).decode()
        self.api.remove_container(container, v=True, force=True)
        self.containers.remove(container)
        return ended["StatusCode"], logs

    def service(self, alias, image, command=None, environment=None, port=None):
        container = self.create(f"{alias}-0", image, command, [alias, f"library-{alias}"], environment=environment)
        self.api.start(container)
        look = self.api.inspect_container(container)
        equal(look["State"]["Running"], True)
        networks = look["NetworkSettings"]["Networks"]
        (address,) = [network["IPAddress"] for network in networks.values()]
        assert address, networks
        self.services[alias] = container
        self.links[alias] = container
        # `gitlab-runner-helper health-check` dials the address that inspect shows.
        environment = {"WAIT_FOR_SERVICE_TCP_ADDR": alias, "WAIT_FOR_SERVICE_TCP_PORT": port}
        script = "until (exec 3<>/dev/tcp/$WAIT_FOR_SERVICE_TCP_ADDR/$WAIT_FOR_SERVICE_TCP_PORT) 2>/dev/null; do sleep 0.1; done"
        helper = self.create(f"{alias}-wait", "client", ["timeout", "60", "bash", "-c", script], build=True, environment=environment)
        self.api.start(helper)
        equal((alias, self.api.wait(helper)["StatusCode"]), (alias, 0))
        self.api.remove_container(helper, v=True, force=True)
        self.containers.remove(helper)

    def stage(self, container, script):
        """Attach, start, write the script, hear it to its end. Gives its exit code and output."""
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        stream = self.api.attach_socket(container, params)._sock
        self.api.start(container)
        stream.sendall(script.encode())
        stream.shutdown(socket.SHUT_WR)
        frames, output = b"", b""
        while piece := stream.recv(65536):
            frames += piece
        while frames:
            assert frames[0] in (1, 2) and frames[1:4] == b"\0\0\0", frames[:8]
            length = int.from_bytes(frames[4:8], "big")
            output, frames = output + frames[8 : 8 + length], frames[8 + length :]
        ended = self.api.wait(container, condition="not-running")
        # The runner asks for its end again and again: one that has ended is 304.
        for _ in range(2):
            answer = self.api._post(self.api._url("/containers/{0}/stop", container), params={"t": 1})
            equal(answer.status_code, 304)
        return ended["StatusCode"], output.decode()

    def clean(self):
        for network in self.api.networks():
            for container in self.api.inspect_network(network["Id"])["Containers"] or {}:
                if container in self.containers:
                    self.api.disconnect_container_from_network(container, network["Id"], force=True)
        for container in reversed(self.containers):
            self.api.remove_container(container, v=True, force=True)
        if self.network:
            self.api.remove_network(self.network)


def job(api, mode):
    api.info(), api.version()
    job = Job(api, mode)
    volumes = {}
    for path in ["/builds", "/cache"]:
        name = f"runner-abc-project-1-concurrent-0-cache{path.replace('/', '-')}"
        api.create_volume(name, labels={"com.gitlab.gitlab-runner.managed": "true"})
        volumes[path] = f"{name}:{path}"
        equal(job.once("permissions", "client", ["chmod", "777", path], [volumes[path]]), (0, ""))
    binds = list(volumes.values())

    job.service("gitlab", "client", ["bash", "-euc", SETUP], port="9418")
    job.service("postgres", "postgres", environment={"POSTGRES_PASSWORD": "secret"}, port="5432")
    helper = job.create("predefined", "client", ["bash"], binds=binds, build=True, environment={"CI": "true"})
    build = job.create("build", "client", ["sh", "-c", "if test -x /bin/bash; then exec bash; else exec sh; fi"], binds=binds, build=True, environment={"PGPASSWORD": "secret"})

    equal(job.stage(helper, "set -eu\necho prepared on $CI\n"), (0, "prepared on true\n"))
    code, output = job.stage(helper, "set -eu\ncd /builds\ngit clone -q git://gitlab/group/project.git project 2>&1\ncd project\ngit log --format=%s\necho kept > /tmp/kept\n")
    equal((code, output), (0, "first\n"))
    # The same container once more: its own files are there.
    equal(job.stage(helper, "cat /tmp/kept; ls /cache | wc -l\n"), (0, "kept\n0\n"))

    script = "set -eu\ncd /builds/project\nuntil pg_isready -qh postgres; do sleep 0.1; done\npsql -qh postgres -U postgres -f schema.sql\n"
    script += "psql -qAth postgres -U postgres -c 'select sum(n) from t'\nwc -l < deep/er/numbers\necho made > artifact\ngit status --short\n"
    code, output = job.stage(build, script)
    equal((code, output), (0, "42\n5000\n?? artifact\n"))
    # The build's container runs `after_script`, too; a script that fails says so.
    equal(job.stage(build, "cat /builds/project/artifact; exit 7\n"), (7, "made\n"))
    equal(job.stage(helper, "cat /builds/project/artifact; tar czf /cache/cache.tgz -C /builds project; ls /cache\n"), (0, "made\ncache.tgz\n"))

    # A job that is cancelled: killed while it runs, and told so once.
    params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    stream = api.attach_socket(build, params)._sock
    api.start(build)
    stream.sendall(b"trap '' TERM; echo begun; sleep 1000\n")
    heard = b""
    while b"begun\n" not in heard:
        heard += stream.recv(4096)
    api.kill(build, "SIGKILL")
    while stream.recv(4096):
        pass
    equal(api.wait(build)["StatusCode"], 137)

    for alias, container in job.services.items():
        assert api.logs(container, timestamps=True), alias
    job.clean()
    for volume in volumes.values():
        api.remove_volume(volume.split(":")[0], force=True)
    equal((api.containers(all=True), api.volumes()["Volumes"] or []), ([], []))
    equal([network["Name"] for network in api.networks() if network["Name"].startswith("runner")], [])


def main():
    mode, address = sys.argv[1:]
    job(docker.APIClient(base_url=address, timeout=PATIENCE_SECONDS), mode)


main()
