"""Runs a command in a pseudo-terminal of its own.

    python3 in-terminal.py COLUMNS ROWS COMMAND [ARGUMENT ...]

What comes on the standard input is typed, what the command writes comes out as
it is. File descriptor 3 takes orders, one a line: "resize COLUMNS ROWS" and
"hangup". In the end descriptor 4 gets one line of JSON: how the command ended
and whether the terminal's modes are what they were.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time


def set_size(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def modes(fd):
    attributes = termios.tcgetattr(fd)
    return attributes[:4]


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def ended(pid):
    """The status of the command if it has ended."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def main():
    columns, rows = int(sys.argv[1]), int(sys.argv[2])
    master, slave = pty.openpty()
    set_size(slave, columns, rows)
    before = modes(slave)
    pid = os.fork()
    if pid == 0:
        os.close(master)
        os.close(3)
        os.close(4)
        make_controlling(slave)
        os.execvp(sys.argv[3], sys.argv[3:])
    print(json.dumps({"pid": pid}), file=os.fdopen(os.dup(4), "w"), flush=True)
    sources = {master, 0, 3}
    orders = b""
    hung_up = False
    status = None
    while True:
        ready, _, _ = select.select(sources, [], [], 0.02)
        if master in ready:
            try:
                data = os.read(master, 65536)
            except OSError:
                data = b""
            if data:
                write_all(1, data)
            else:
                sources.discard(master)
        if 0 in ready:
            data = os.read(0, 65536)
            if data:
                write_all(master, data)
            else:
                sources.discard(0)
        if 3 in ready:
            data = os.read(3, 65536)
            if not data:
                # Whoever started this is gone.
                os.kill(pid, signal.SIGKILL)
                sources.discard(3)
            orders += data
            while b"\n" in orders:
                line, orders = orders.split(b"\n", 1)
                name, *words = line.decode().split()
                if name == "resize":
                    set_size(master, int(words[0]), int(words[1]))
                elif name == "hangup":
                    hung_up = True
                    os.close(slave)
                    os.close(master)
                    sources.discard(master)
        if status is None:
            status = ended(pid)
            if status is not None:
                deadline = time.monotonic() + 0.2
        elif time.monotonic() > deadline and (hung_up or master not in ready):
            break
    restored = None if hung_up else modes(slave) == before
    os.write(4, (json.dumps({"code": status, "restored": restored}) + "\n").encode())


def make_controlling(slave):
    """Makes the terminal the one the command is controlled by, and its three streams."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    if slave > 2:
        os.close(slave)


main()
