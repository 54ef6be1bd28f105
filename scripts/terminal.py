"""A program on a pseudo-terminal of a given size, for scripts that measure or picture the dashboard."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time


class Terminal:
    """Runs `command` in `cwd`; `on_output` gets what it writes. Ended with the block, if it has not ended by itself."""

    def __init__(self, command, cwd, columns, rows, on_output=lambda data: None):
        self.started = time.monotonic()
        self.on_output = on_output
        self.code = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                os.chdir(cwd)
                environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
                os.execve(command[0], [str(part) for part in command], {**environment, "TERM": "xterm-256color"})
            finally:
                os._exit(127)

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def pump(self, seconds):
        """Reads for so long, or until the end; says whether the program still runs."""
        end = time.monotonic() + seconds
        while self.code is None and (left := end - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                break
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:
                data = b""
            if not data:
                self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
                break
            self.on_output(data)
        return self.code is None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.code is None:
            os.kill(self.pid, signal.SIGTERM)
            if self.pump(30):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        os.close(self.fd)
