"""The command line tools of mosquitto: a thing that comes and goes.

Each request is a connection of its own (`mosquitto_rr`), each look at notifications another (`mosquitto_sub`); the session of the client id
lives on between them, and what is told meanwhile waits in it (PROTOCOL 13.4).
"""

import subprocess

from things.base import WAIT_S, PlainThing

VERSIONS = {"311": ["-V", "mqttv311"], "5": ["-V", "mqttv5"]}
PERSISTENT = {"311": ["-c"], "5": ["-c", "-x", "3600"]}
# mosquitto_sub says so when its time is up.
TIMED_OUT = 27


def run(site, tool, name, version, *arguments, code=0):
    """One run of a tool as this thing: the lines it printed."""
    host, port = site.mqtt
    certificate, key = site.certificate(name)
    tls = ["--cafile", site.ca, "--cert", certificate, "--key", key]
    command = [tool, "-h", host, "-p", str(port), *tls, "-i", name, *VERSIONS[version], *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT_S + 5)
    assert done.returncode == code, (command, done.stdout, done.stderr)
    return done.stdout.splitlines()


class MosquittoThing(PlainThing):
    def __init__(self, site, name, version):
        super().__init__(site, name)
        self.version = version
        self.subscribe("-E")

    def run(self, tool, *arguments, **more):
        for line in run(self.site, tool, self.name, self.version, *PERSISTENT[self.version], "-q", "1", *arguments, **more):
            topic, _, payload = line.decode().partition(" ")
            self.heard(topic, payload)

    def subscribe(self, *arguments, **more):
        topics = ["-t", self.prefix + "notify", "-t", self.prefix + "notify-next"]
        self.run("mosquitto_sub", *topics, "-F", "%t %p", *arguments, **more)

    def publish(self, topic, payload):
        content = ["-m", payload] if payload else ["-n"]
        # It wants to subscribe to one answer; the other comes without.
        self.run("mosquitto_rr", "-t", topic, "-e", f"{topic}/accepted", *content, "-F", "%t %p", "-W", str(WAIT_S))

    def told(self, count):
        missing = count - self.notifications.qsize()
        if missing > 0:
            self.subscribe("-C", str(missing), "-W", str(WAIT_S))
        return super().told(count)

    def assert_quiet(self, wait_s=0):
        if wait_s:
            self.subscribe("-W", "1", code=TIMED_OUT)
        super().assert_quiet(wait_s)

    def close(self):
        """A clean session in place of the one that waits."""
        run(self.site, "mosquitto_sub", self.name, self.version, "-t", self.prefix + "notify", "-E")
