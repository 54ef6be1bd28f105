"""What a walk through the reference needs of a client, and what clients that show topics and bytes have in common."""

import json
import queue
from abc import ABC, abstractmethod

WAIT_S = 10
QUIET_S = 0.3


class Thing(ABC):
    """A client that is subscribed to `notify` and `notify-next`, and asks one thing after the other."""

    # Whether the client adds a client token of its own to each request.
    always_sends_tokens = False
    # Whether it asks over HTTP, where there are no tokens, and other names for refusals.
    is_http = False

    def __init__(self, site, name):
        self.site = site
        self.name = name
        self.prefix = f"$aws/things/{name}/jobs/"
        self.notifications = queue.Queue()

    @abstractmethod
    def ask(self, operation, body):
        """Whether the request was accepted, and the answer, with AWS's names of fields."""

    @abstractmethod
    def ask_raw(self, operation, payload):
        """The same with the bytes of a payload."""

    @abstractmethod
    def close(self):
        """Ends the session in order."""

    def told(self, count):
        """The next `count` notifications: topic without its prefix, body."""
        try:
            return [self.notifications.get(timeout=WAIT_S) for _ in range(count)]
        except queue.Empty:
            raise AssertionError(f"{count} notifications were expected in {WAIT_S} s") from None

    def assert_quiet(self, wait_s=0):
        """Nothing has been told that was not asked for."""
        try:
            extra = self.notifications.get(timeout=wait_s) if wait_s else self.notifications.get_nowait()
        except queue.Empty:
            return
        raise AssertionError(f"not expected: {extra}")


class PlainThing(Thing):
    """A client of MQTT that knows nothing of jobs. It does not subscribe to answers: they come without (PROTOCOL 4)."""

    def __init__(self, site, name):
        super().__init__(site, name)
        self.answers = queue.Queue()

    @abstractmethod
    def publish(self, topic, payload):
        """Sends a message at QoS 1."""

    def heard(self, topic, payload):
        last = topic.removeprefix(self.prefix)
        note = (last, json.loads(payload))
        (self.notifications if last in ("notify", "notify-next") else self.answers).put(note)

    def ask(self, operation, body):
        accepted, answer = self.ask_raw(operation, json.dumps(body).encode())
        assert answer.get("clientToken") == body.get("clientToken"), answer
        return accepted, answer

    def ask_raw(self, operation, payload):
        self.publish(self.prefix + operation, payload)
        try:
            topic, answer = self.answers.get(timeout=WAIT_S)
        except queue.Empty:
            raise AssertionError(f"no answer to {operation} in {WAIT_S} s") from None
        assert topic in (f"{operation}/accepted", f"{operation}/rejected"), topic
        return topic.endswith("/accepted"), answer
