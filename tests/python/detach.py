"""Runs `docker` with a shell under a pseudo terminal, and leaves it by its detach keys (ctrl-a, x).

The arguments are docker's. Exits with 0 when docker has left by them.
"""

import os
import pty
import select
import sys

LIMIT_SECONDS = 60


def read(terminal):
    ready, _, _ = select.select([terminal], [], [], LIMIT_SECONDS)
    if not ready:
        sys.exit("the terminal is silent")
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def main():
    child, terminal = pty.fork()
    if child == 0:
        os.execvp("docker", ["docker", *sys.argv[1:]])
    seen = b""
    while b"# " not in seen:
        seen += read(terminal)
    os.write(terminal, b"(sleep 0.3; echo still here > /tmp/detached) & echo rea''dy\n")
    while b"ready\r\n" not in seen:
        seen += read(terminal)
    os.write(terminal, b"\x01x")
    while piece := read(terminal):
        seen += piece
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    # The CLI knows the keys, too, and calls its leaving a failure.
    if code != 1 or b"read escape sequence" not in seen:
        sys.exit(f"exit code {code}; the terminal showed {seen!r}")


main()
