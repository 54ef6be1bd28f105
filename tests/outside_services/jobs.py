"""The rules of AWS IoT Jobs, read from the protocol reference once more: values only, no sockets, no clock of their own.

It shares no line with fleetsim, so that a mistake of ours in reading the reference cannot agree with itself.
"""

from dataclasses import dataclass, field

SET_BY_THINGS = ("IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED")
NOT_ENDED = ("QUEUED", "IN_PROGRESS")
# PROTOCOL 7.1: what `get` and `notify` show at most.
SHOWN_MAX = 10
# PROTOCOL 3; no timer of them runs here.
STEP_MINUTES = (-1, *range(1, 10_081))
# PROTOCOL 8.
MISSING_STATUS = "Value null at 'status' failed to satisfy constraint: Member must not be null"


class Rejected(Exception):
    """A request that is refused with a code of PROTOCOL 8, and the execution it is about where that is told."""

    def __init__(self, code, message, execution=None):
        super().__init__(message)
        self.code = code
        self.execution = execution


@dataclass
class Execution:
    job: str
    document: dict
    queued_at: int
    updated_at: int
    number: int = 1
    version: int = 1
    status: str = "QUEUED"
    started_at: int | None = None
    details: dict = field(default_factory=dict)

    def summary(self):
        """PROTOCOL 5.2."""
        body = {"jobId": self.job, "queuedAt": self.queued_at, "lastUpdatedAt": self.updated_at}
        if self.started_at is not None:
            body["startedAt"] = self.started_at
        return body | {"executionNumber": self.number, "versionNumber": self.version}

    def state(self):
        """PROTOCOL 5.3."""
        return {"status": self.status, "versionNumber": self.version} | ({"statusDetails": self.details} if self.details else {})

    def full(self, with_document=True):
        """PROTOCOL 5.1."""
        return self.summary() | self.state() | ({"jobDocument": self.document} if with_document else {})

    def change(self, status, details, now):
        self.status, self.updated_at, self.version = status, now, self.version + 1
        if status == "IN_PROGRESS" and self.started_at is None:
            self.started_at = now
        if details is not None:
            self.details = details


class Thing:
    """The executions of one thing, in the order in which they were queued."""

    def __init__(self):
        self.executions = {}

    def pending(self):
        """PROTOCOL 9.4: what is in progress comes first."""
        return [execution for status in ("IN_PROGRESS", "QUEUED") for execution in self.executions.values() if execution.status == status]

    def head(self):
        return next(iter(self.pending()), None)

    def queue(self, job, document, now):
        self.executions[job] = Execution(job, document, now, now)
        return self.executions[job]

    def start_next(self, request, now):
        """The head, started where it was not, and whether it was changed."""
        head = self.head()
        if head is None or head.status == "IN_PROGRESS":
            return head, False
        head.change("IN_PROGRESS", request.get("statusDetails"), now)
        return head, True

    def find(self, job, number):
        found = self.executions.get(job)
        if found is None or number not in (None, found.number):
            raise Rejected("ResourceNotFound", f"no execution of {job}")
        return found

    def describe(self, job, number):
        if job == "$next":
            return self.head()
        found = self.find(job, number)
        if found.status not in NOT_ENDED:
            raise Rejected("TerminalStateReached", f"{job} has ended")
        return found

    def update(self, job, request, now):
        status, details = request.get("status"), request.get("statusDetails")
        if status is None:
            raise Rejected("InvalidRequest", MISSING_STATUS)
        if status not in SET_BY_THINGS:
            raise Rejected("InvalidRequest", f"a thing does not set {status}")
        if details is not None and not valid_details(details):
            raise Rejected("InvalidRequest", "statusDetails break their limits")
        if request.get("stepTimeoutInMinutes", -1) not in STEP_MINUTES:
            raise Rejected("InvalidRequest", "stepTimeoutInMinutes breaks its limits")
        expected = version(request.get("expectedVersion"))
        found = self.find(job, request.get("executionNumber"))
        if expected not in (None, found.version):
            raise Rejected("VersionMismatch", f"Expected version {expected} but found version {found.version}", found)
        if found.status not in NOT_ENDED:
            raise Rejected("InvalidStateTransition", f"{job} has ended", found)
        found.change(status, details, now)
        return found


def version(told):
    """A number, or a string that holds one (PROTOCOL 2 fact 9)."""
    try:
        return None if told is None else int(told)
    except (TypeError, ValueError):
        raise Rejected("InvalidRequest", f"{told!r} is no version") from None


def valid_details(details):
    """PROTOCOL 3."""
    return len(details) <= 10 and all(
        1 <= len(key) <= 128 and isinstance(value, str) and 1 <= len(value) <= 1024 and value.isprintable() for key, value in details.items()
    )
