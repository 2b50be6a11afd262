"""Runs `docker` with a shell under a pseudo terminal and resizes it.

The arguments are docker's; without any it is `run -it --rm busybox sh`.

Exits with 0 when the container has a terminal of the right size before and after the resize.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios

LIMIT_SECONDS = 60


def resize(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def expect(terminal, words, seen):
    """Reads until the words have been seen; gives what came after them."""
    while words not in seen:
        ready, _, _ = select.select([terminal], [], [], LIMIT_SECONDS)
        if not ready:
            sys.exit(f"waited for {words!r} in vain; the terminal shows {seen!r}")
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            piece = b""
        if not piece:
            sys.exit(f"ended before {words!r}; the terminal showed {seen!r}")
        seen += piece
    return seen.split(words, 1)[1]


def main():
    child, terminal = pty.fork()
    if child == 0:
        words = sys.argv[1:] or ["run", "-it", "--rm", "busybox", "sh"]
        os.execvp("docker", ["docker", *words])
    resize(terminal, 33, 111)
    rest = expect(terminal, b"# ", b"")
    os.write(terminal, b"test -t 0 && test -t 1 && test -t 2 && echo termi''nal\n")
    rest = expect(terminal, b"terminal\r\n", rest)
    # The CLI sends the size at its own pace: the shell waits for it rather than this script.
    os.write(terminal, b"until test \"$(stty size)\" = '33 111'; do sleep 0.02; done; echo fir''st\n")
    rest = expect(terminal, b"first\r\n", rest)
    resize(terminal, 40, 100)
    os.write(terminal, b"until test \"$(stty size)\" = '40 100'; do sleep 0.02; done; echo sec''ond\n")
    rest = expect(terminal, b"second\r\n", rest)
    os.write(terminal, b"exit 3\n")
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:
        pass
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 3:
        sys.exit(f"exit code {code} rather than 3")


main()
