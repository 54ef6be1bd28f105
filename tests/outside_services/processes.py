"""Processes of a test: started, heard, waited for with a deadline, and ended by their own id."""

import json
import queue
import random
import signal
import socket
import subprocess
import threading
import time

START_S = 20
END_S = 20


# Below those that the kernel gives to connections: none of them takes a port between our look and its use, or while a broker is down.
PORTS = range(10_000, 32_000)


def free_port():
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_until(what, condition, limit_s=START_S):
    """What `condition` gives once it gives something."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {limit_s} s: {what}")


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Process:
    """A child whose output goes to a log, or, where it tells events, to a queue of JSON lines."""

    def __init__(self, command, log, tells=False, **settings):
        self.log = log
        self.events = queue.Queue()
        pipe = subprocess.PIPE if tells else None
        with log.open("ab") as output:
            self.child = subprocess.Popen(
                [str(part) for part in command],
                stdin=pipe or subprocess.DEVNULL,
                stdout=pipe or output,
                stderr=output,
                **settings,
            )
        if tells:
            threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.child.stdout:
            self.events.put(json.loads(line))

    def say(self, what):
        self.child.stdin.write(f"{json.dumps(what)}\n".encode())
        self.child.stdin.flush()

    def hear(self, event, limit_s=START_S):
        """The next event of that name; others before it are passed over."""
        deadline = time.monotonic() + limit_s
        while True:
            try:
                told = self.events.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                raise AssertionError(f"no {event} in {limit_s} s; {self.tail()}") from None
            if told["event"] == event:
                return told

    def is_alive(self):
        """True; one that ended by itself fails the test with its last words."""
        assert self.child.poll() is None, f"{self.child.args[0]} ended: {self.tail()}"
        return True

    def wait(self, limit_s):
        try:
            return self.child.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"{self.child.args[0]} did not end in {limit_s} s; {self.tail()}") from None

    def tail(self):
        return self.log.read_text(errors="replace")[-2000:]

    def end(self, how=signal.SIGTERM):
        if self.child.poll() is None:
            self.child.send_signal(how)
            try:
                self.child.wait(END_S)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
