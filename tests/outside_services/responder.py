"""A small jobs service behind a broker: it answers requests, tells of new jobs, and writes down what it queued and what ended how.

    python responder.py --port 1883 --things 100 --ledger FILE
    python responder.py --port 8883 --things 100 --ledger FILE --ca CA --cert CERT --key KEY

Each line on its standard input says what to do, as JSON:

    {"create": "fw-1", "per_second": 20}
    {"create": "fw-2", "things": ["sim-000000"], "document": {"operation": "reboot"}}
    {"delete": "fw-2", "things": ["sim-000000"]}
"""

import argparse
import csv
import json
import ssl
import sys
import threading
import time

import paho.mqtt.client as mqtt
from jobs import SHOWN_MAX, Rejected, Thing

PREFIX = "$aws/things"
# PROTOCOL 4: the four kinds of requests.
REQUESTS = [f"{PREFIX}/+/jobs/{what}" for what in ("get", "start-next", "+/get", "+/update")]
COLUMNS = ["thing", "job", "execution_number", "version", "status"]
THROTTLED = ("RequestThrottled", "InternalError")
RECONNECT_S = 0.2
IN_FLIGHT_MAX = 500
PER_SECOND = 1000


class Ledger:
    """A row for each committed change, on disk when it is answered."""

    def __init__(self, path):
        self.file = open(path, "w", newline="")
        self.writer = csv.writer(self.file)
        self.row(COLUMNS)

    def row(self, cells):
        self.writer.writerow(cells)
        self.file.flush()

    def change(self, thing, execution):
        self.row([thing, execution.job, execution.number, execution.version, execution.status])


class Service:
    """Requests in, answers and notifications out through `publish`."""

    def __init__(self, names, ledger, throttle_every, publish):
        self.things = {name: Thing() for name in names}
        self.ledger = ledger
        self.throttle_every = throttle_every
        self.publish = publish
        self.requests = 0
        self.throttled = 0
        # Requests come on the client's thread, jobs on the main one.
        self.lock = threading.Lock()

    def queue(self, name, job, document):
        thing = self.things[name]
        before = fingerprint(thing)
        self.ledger.change(name, thing.queue(job, document, int(time.time())))
        self.notify(name, thing, before)

    def delete(self, name, job):
        thing = self.things[name]
        before = fingerprint(thing)
        del thing.executions[job]
        self.notify(name, thing, before)

    def request(self, topic, payload):
        _, _, name, _, *path = topic.split("/")
        token = {}
        try:
            body = json.loads(payload or b"{}")
            if not isinstance(body, dict):
                raise ValueError("a request is an object")
            token = {key: body[key] for key in ("clientToken",) if key in body}
            self.throttle()
            answer, follow = self.answer(name, path, body)
            self.send(f"{topic}/accepted", answer | token)
            follow()
        except Rejected as rejected:
            state = {"executionState": rejected.execution.state()} if rejected.execution else {}
            self.send(f"{topic}/rejected", {"code": rejected.code, "message": str(rejected)} | state | token)
        except ValueError:
            self.send(f"{topic}/rejected", {"code": "InvalidJson", "message": "this is no JSON"})

    def throttle(self):
        self.requests += 1
        if self.throttle_every and self.requests % self.throttle_every == 0:
            self.throttled += 1
            raise Rejected(THROTTLED[self.throttled % len(THROTTLED)], "not now")

    def answer(self, name, path, body):
        """The body of the answer, and what is told after it."""
        thing, now = self.things[name], int(time.time())
        match path:
            case ["get"]:
                shown = pending_by_status(thing)
                return {"inProgressJobs": shown["IN_PROGRESS"], "queuedJobs": shown["QUEUED"]}, nothing
            case ["start-next"]:
                head, started = thing.start_next(body, now)
                if started:
                    self.ledger.change(name, head)
                return {"execution": head.full()} if head else {}, nothing
            case [job, "get"]:
                found = thing.describe(job, body.get("executionNumber"))
                return {"execution": found.full(body.get("includeJobDocument", True))} if found else {}, nothing
            case [job, "update"]:
                before = fingerprint(thing)
                found = thing.update(job, body, now)
                self.ledger.change(name, found)
                answer = {"executionState": found.state()} if body.get("includeJobExecutionState") else {}
                answer |= {"jobDocument": found.document} if body.get("includeJobDocument") else {}
                return answer, lambda: self.notify(name, thing, before)

    def notify(self, name, thing, before):
        """PROTOCOL 7.2: the set changed, the head changed."""
        (members, head), (had_members, had_head) = fingerprint(thing), before
        if members != had_members:
            jobs = {status: entries for status, entries in pending_by_status(thing).items() if entries}
            self.send(f"{PREFIX}/{name}/jobs/notify", {"jobs": jobs})
        if head != had_head:
            self.send(f"{PREFIX}/{name}/jobs/notify-next", {"execution": thing.head().full()} if head else {})

    def send(self, topic, body):
        self.publish(topic, json.dumps({"timestamp": int(time.time())} | body))


def nothing():
    """What most answers are followed by."""


def fingerprint(thing):
    pending = [execution.job for execution in thing.pending()]
    return set(pending), next(iter(pending), None)


def pending_by_status(thing):
    shown = {"IN_PROGRESS": [], "QUEUED": []}
    for execution in thing.pending()[:SHOWN_MAX]:
        shown[execution.status].append(execution.summary())
    return shown


def tell(event):
    print(json.dumps(event), flush=True)


def obey(service, command):
    for name in command.get("things", service.things):
        with service.lock:
            if job := command.get("create"):
                service.queue(name, job, command.get("document", {"operation": "firmware", "version": job}))
            else:
                service.delete(name, command["delete"])
        time.sleep(1 / command.get("per_second", PER_SECOND))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, required=True)
    for name in ("ca", "cert", "key"):
        parser.add_argument(f"--{name}", metavar="FILE", help="for a broker that wants certificates")
    parser.add_argument("--things", type=int, required=True, metavar="N")
    parser.add_argument("--thing-name", default="sim-{index:06}")
    parser.add_argument("--ledger", required=True, metavar="FILE")
    parser.add_argument("--throttle-every", type=int, default=0, metavar="N", help="refuse each N-th request")
    options = parser.parse_args()

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="jobs-service")
    if options.ca:
        client.tls_set(options.ca, options.cert, options.key, tls_version=ssl.PROTOCOL_TLS_CLIENT)
    client.reconnect_delay_set(RECONNECT_S, RECONNECT_S)
    client.max_inflight_messages_set(IN_FLIGHT_MAX)
    names = [options.thing_name.format(index=index) for index in range(options.things)]
    service = Service(names, Ledger(options.ledger), options.throttle_every, lambda topic, body: client.publish(topic, body, qos=1))

    def on_message(_client, _data, message):
        with service.lock:
            service.request(message.topic, message.payload)

    client.on_message = on_message
    client.on_connect = lambda *_: client.subscribe([(name, 1) for name in REQUESTS])
    client.on_subscribe = lambda *_: tell({"event": "ready"})
    client.connect(options.host, options.port)
    client.loop_start()
    for line in sys.stdin:
        obey(service, json.loads(line))
        tell({"event": "done"})
    client.disconnect()
    client.loop_stop()
    tell({"event": "ended", "requests": service.requests, "throttled": service.throttled})


if __name__ == "__main__":
    main()
