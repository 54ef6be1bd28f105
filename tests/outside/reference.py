"""The conformance vectors of PROTOCOL 19.2 and 19.3 as tables, and the shapes of the messages.

Every client walks the same tables. Job names are letters here; on the wire each client has jobs of its own, `A-<thing>` and so on.
"""

import time
from dataclasses import dataclass, field

# ------------------------------------------------------------------------------------------------------ 19.2: the queue life cycle


@dataclass(frozen=True)
class Create:
    job: str


@dataclass(frozen=True)
class DeleteExecution:
    job: str


@dataclass(frozen=True)
class Ask:
    operation: str
    body: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What happens, what is pending afterwards in the order it is handed out, which notifications tell so, what is answered."""

    text: str
    act: Create | DeleteExecution | Ask
    pending: str
    told: tuple = ()
    answer: str | None = None


NOTIFY, NOTIFY_NEXT = "notify", "notify-next"
BOTH = (NOTIFY, NOTIFY_NEXT)
FIRST, SECOND = {"statusDetails": {"step": "first"}}, {"statusDetails": {"step": "second"}}
IN_PROGRESS = {"status": "IN_PROGRESS"}

LIFE_CYCLE = [
    Step("1 job A queued", Create("A"), "A QUEUED v1", BOTH),
    Step("2 job B queued", Create("B"), "A QUEUED v1, B QUEUED v1", (NOTIFY,)),
    Step("3 start-next", Ask("start-next", FIRST), "A IN_PROGRESS v2, B QUEUED v1", answer="accepted A IN_PROGRESS v2 step=first"),
    Step("4 start-next again", Ask("start-next", SECOND), "A IN_PROGRESS v2, B QUEUED v1", answer="accepted A IN_PROGRESS v2 step=first"),
    Step("5 update A", Ask("A/update", IN_PROGRESS | {"expectedVersion": 2}), "A IN_PROGRESS v3, B QUEUED v1", answer="accepted"),
    Step("6 job C queued", Create("C"), "A IN_PROGRESS v3, B QUEUED v1, C QUEUED v1", (NOTIFY,)),
    Step(
        "7 update A with an old version",
        Ask("A/update", IN_PROGRESS | {"expectedVersion": 2}),
        "A IN_PROGRESS v3, B QUEUED v1, C QUEUED v1",
        answer="VersionMismatch IN_PROGRESS v3 step=first",
    ),
    Step("8 update A, SUCCEEDED", Ask("A/update", {"status": "SUCCEEDED"}), "B QUEUED v1, C QUEUED v1", BOTH, "accepted"),
    Step(
        "9 update A after its end",
        Ask("A/update", IN_PROGRESS),
        "B QUEUED v1, C QUEUED v1",
        answer="InvalidStateTransition SUCCEEDED v4 step=first",
    ),
    Step("10 update C, not the head", Ask("C/update", IN_PROGRESS), "C IN_PROGRESS v2, B QUEUED v1", (NOTIFY_NEXT,), "accepted"),
    Step("11 update B, REJECTED", Ask("B/update", {"status": "REJECTED"}), "C IN_PROGRESS v2", (NOTIFY,), "accepted"),
    Step("12 DeleteJobExecution C, force", DeleteExecution("C"), "", BOTH),
    Step("13 $next/get", Ask("$next/get"), "", answer="accepted"),
    Step("14 get", Ask("get"), "", answer="accepted pending:"),
    Step("15 describe C", Ask("C/get"), "", answer="ResourceNotFound"),
    Step("16 describe A", Ask("A/get"), "", answer="TerminalStateReached"),
]


def walk_life_cycle(thing, control, steps=LIFE_CYCLE):
    """Each step is followed by `get`: what it shows is the state, and what was told must have come by then, and nothing else."""
    for step in steps:
        match step.act:
            case Create(job):
                control.create_job(job_id(job, thing), thing.name, {"operation": job})
                answer = None
            case DeleteExecution(job):
                control.delete_job_execution(job_id(job, thing), thing.name)
                answer = None
            case Ask(operation, body):
                answer = answer_text(*ask(thing, operation, body))
        assert answer == as_told(thing, step.answer), f"step {step.text}"
        # There is no order between the two.
        told = sorted(thing.told(len(step.told)), key=lambda note: note[0])
        assert [topic for topic, _ in told] == list(step.told), f"step {step.text}: {told}"
        for topic, body in told:
            check_notification(topic, body)
            if topic == NOTIFY:
                assert pending_text(body["jobs"].get("IN_PROGRESS", []), body["jobs"].get("QUEUED", [])) == step.pending, f"step {step.text}"
            else:
                head = step.pending.split(", ")[0]
                execution = body.get("execution")
                assert (execution_text(execution, details=False) if execution else "") == head, f"step {step.text}"
        _, answered = ask(thing, "get", {})
        assert pending_text(answered["inProgressJobs"], answered["queuedJobs"]) == step.pending, f"step {step.text}, then get"
        thing.assert_quiet()


# ------------------------------------------------------------------------------------------------------- 19.3: the optional fields


@dataclass(frozen=True)
class Field:
    """An update of a job that is in progress, and the keys of its answer, or the code it is rejected with."""

    text: str
    body: dict | bytes
    keys: str = ""
    rejected: str = ""
    message: str = ""
    # What a client that builds its requests itself cannot say; the same connection sends it as it is.
    raw: bool = False


def details(count):
    return {f"key-{n}": "value" for n in range(count)}


MISSING_STATUS = "Value null at 'status' failed to satisfy constraint: Member must not be null"

FIELDS = [
    Field("no flags", IN_PROGRESS, "timestamp"),
    Field("clientToken", IN_PROGRESS | {"clientToken": "a token, echoed as it is"}, "clientToken timestamp"),
    Field("includeJobExecutionState", IN_PROGRESS | {"includeJobExecutionState": True}, "executionState timestamp"),
    Field("includeJobDocument", IN_PROGRESS | {"includeJobDocument": True}, "jobDocument timestamp"),
    Field(
        "both flags and token",
        IN_PROGRESS | {"includeJobExecutionState": True, "includeJobDocument": True, "clientToken": "both"},
        "clientToken executionState jobDocument timestamp",
    ),
    Field("expectedVersion as a number", IN_PROGRESS | {"expectedVersion": "{version}"}, "timestamp"),
    Field("expectedVersion as a string", IN_PROGRESS | {"expectedVersion": "'{version}'"}, "timestamp"),
    Field("executionNumber", IN_PROGRESS | {"executionNumber": 1}, "timestamp"),
    Field("executionNumber that does not exist", IN_PROGRESS | {"executionNumber": 77}, rejected="ResourceNotFound"),
    Field("10 details", IN_PROGRESS | {"statusDetails": details(10)}, "timestamp"),
    Field("11 details", IN_PROGRESS | {"statusDetails": details(11)}, rejected="InvalidRequest"),
    Field("a detail with a line break", IN_PROGRESS | {"statusDetails": {"log": "one\ntwo"}}, rejected="InvalidRequest"),
    Field("a detail of 1,024 characters", IN_PROGRESS | {"statusDetails": {"log": "x" * 1024}}, "timestamp"),
    Field("a detail of 1,025 characters", IN_PROGRESS | {"statusDetails": {"log": "x" * 1025}}, rejected="InvalidRequest"),
    Field("stepTimeoutInMinutes 10080", IN_PROGRESS | {"stepTimeoutInMinutes": 10080}, "timestamp"),
    Field("stepTimeoutInMinutes -1", IN_PROGRESS | {"stepTimeoutInMinutes": -1}, "timestamp"),
    Field("stepTimeoutInMinutes 0", IN_PROGRESS | {"stepTimeoutInMinutes": 0}, rejected="InvalidRequest"),
    Field("stepTimeoutInMinutes 10081", IN_PROGRESS | {"stepTimeoutInMinutes": 10081}, rejected="InvalidRequest"),
    Field("status missing", b"{}", rejected="InvalidRequest", message=MISSING_STATUS, raw=True),
    Field("no payload at all", b"", rejected="InvalidRequest", message=MISSING_STATUS, raw=True),
    Field("a status that is the service's", b'{"status": "TIMED_OUT"}', rejected="InvalidRequest", raw=True),
    Field("a list", b"[1,2]", rejected="InvalidJson", raw=True),
    Field("broken JSON", b'{"status": "IN_PROGRESS"', rejected="InvalidJson", raw=True),
    Field("no UTF-8", b'{"status": "IN_PROGRESS\xff"}', rejected="InvalidJson", raw=True),
    Field("expectedVersion of another type", b'{"status": "IN_PROGRESS", "expectedVersion": [2]}', rejected="InvalidRequest", raw=True),
    Field("a field nobody knows", b'{"status": "IN_PROGRESS", "colour": "blue"}', "timestamp", raw=True),
]


def walk_fields(thing, control, rows=FIELDS):
    """An accepted update is one version further, a rejected one changes nothing."""
    job = job_id("F", thing)
    control.create_job(job, thing.name, {"operation": "fields"})
    thing.told(2)
    version = 2
    accepted, answer = ask(thing, "start-next", {})
    assert accepted and answer["execution"]["versionNumber"] == version, answer
    for row in rows:
        body = row.body
        if row.raw:
            accepted, answer = thing.ask_raw(f"{job}/update", body)
            check_answer("update", accepted, answer)
        else:
            accepted, answer = ask(thing, "F/update", spell_version(body, version))
        if row.rejected:
            assert (accepted, answer["code"]) == (False, as_told(thing, row.rejected)), f"{row.text}: {answer}"
            assert row.message in answer["message"], f"{row.text}: {answer}"
        else:
            version += 1
            keys = set(row.keys.split()) | ({"clientToken"} if thing.always_sends_tokens and not row.raw else set())
            keys -= {"clientToken"} if thing.is_http else set()
            assert accepted and set(answer) == keys, f"{row.text}: {answer}"
            if "executionState" in keys:
                assert answer["executionState"] == {"status": "IN_PROGRESS", "versionNumber": version}, f"{row.text}: {answer}"
            if "jobDocument" in keys:
                assert answer["jobDocument"] == {"operation": "fields"}, f"{row.text}: {answer}"
    for wanted in (True, False):
        accepted, answer = ask(thing, "F/get", {"includeJobDocument": wanted, "executionNumber": 1})
        assert accepted and answer["execution"]["versionNumber"] == version, answer
        assert ("jobDocument" in answer["execution"]) == wanted, answer
    accepted, answer = ask(thing, "F/get", {"executionNumber": 77})
    assert not accepted and answer["code"] == as_told(thing, "ResourceNotFound"), answer
    assert ask(thing, "F/update", {"status": "FAILED"})[0]
    thing.told(2)
    thing.assert_quiet()


def spell_version(body, version):
    spelled = {"{version}": version, "'{version}'": str(version)}
    return {key: spelled.get(value, value) if isinstance(value, str) else value for key, value in body.items()}


# ---------------------------------------------------------------------------------------------------------- messages and their text


def job_id(letter, thing):
    return f"{letter}-{thing.name}"


def ask(thing, operation, body):
    """Asks, with a letter as the name of a job, and holds the answer against its shape."""
    letter, slash, rest = operation.partition("/")
    sent = operation if letter == "$next" or not slash else f"{job_id(letter, thing)}/{rest}"
    accepted, answer = thing.ask(sent, body)
    kind = {"$next/get": "get-next", "get": "get", "start-next": "start-next"}.get(operation) or {"get": "describe", "update": "update"}[rest]
    check_answer(kind, accepted, answer)
    return accepted, answer


# Names of refusals over HTTP (PROTOCOL 10.2). What else MQTT tells with a refusal is not there.
HTTP_NAMES = {
    "InvalidJson": "InvalidRequestException",
    "InvalidRequest": "InvalidRequestException",
    "ResourceNotFound": "ResourceNotFoundException",
    "VersionMismatch": "InvalidStateTransitionException",
    "InvalidStateTransition": "InvalidStateTransitionException",
    "TerminalStateReached": "TerminalStateException",
}


def as_told(thing, answer):
    """An answer of the tables as this client gets it."""
    code = (answer or "").partition(" ")[0]
    return HTTP_NAMES.get(code, answer) if thing.is_http else answer


def letter_of(entry):
    return entry["jobId"].partition("-")[0]


def state_text(state, details=True):
    shown = [f"{key}={value}" for key, value in state.get("statusDetails", {}).items()] if details else []
    return " ".join([state["status"], f"v{state['versionNumber']}", *shown])


def execution_text(execution, details=True):
    return f"{letter_of(execution)} {state_text(execution, details)}"


def pending_text(in_progress, queued):
    lists = {"IN_PROGRESS": in_progress, "QUEUED": queued}
    return ", ".join(f"{letter_of(entry)} {status} v{entry['versionNumber']}" for status, entries in lists.items() for entry in entries)


def answer_text(accepted, answer):
    parts = ["accepted" if accepted else answer["code"]]
    if "execution" in answer:
        parts.append(execution_text(answer["execution"]))
    if "executionState" in answer:
        parts.append(state_text(answer["executionState"]))
    if "queuedJobs" in answer:
        parts.append(f"pending: {pending_text(answer['inProgressJobs'], answer['queuedJobs'])}".strip())
    return " ".join(parts)


SUMMARY = "jobId queuedAt lastUpdatedAt versionNumber executionNumber"
# Per kind of message: what is always there, what may be. `thingName` is never there (PROTOCOL 5.1).
SHAPES = {
    "execution": (f"status {SUMMARY}", "startedAt statusDetails approximateSecondsBeforeTimedOut jobDocument"),
    "summary": (SUMMARY, "startedAt"),
    "state": ("status versionNumber", "statusDetails"),
    "get": ("inProgressJobs queuedJobs timestamp", "clientToken"),
    "start-next": ("timestamp", "execution clientToken"),
    "get-next": ("timestamp", "execution clientToken"),
    "describe": ("execution timestamp", "clientToken"),
    "update": ("timestamp", "executionState jobDocument clientToken"),
    "rejected": ("code message timestamp", "clientToken executionState"),
    "notify": ("jobs timestamp", ""),
    "notify-next": ("timestamp", "execution"),
}
SECONDS = ("timestamp", "queuedAt", "startedAt", "lastUpdatedAt")
INTEGERS = (*SECONDS, "versionNumber", "executionNumber", "approximateSecondsBeforeTimedOut")
A_WHILE_S = 3600


def check(kind, body):
    required, optional = (set(keys.split()) for keys in SHAPES[kind])
    assert required <= set(body) <= required | optional, f"{kind} has the keys {sorted(body)}"
    for key in INTEGERS:
        assert type(body.get(key, 0)) is int, f"{key} of {kind} is {body[key]!r}"
    for key in SECONDS:
        assert abs(body.get(key, time.time()) - time.time()) < A_WHILE_S, f"{key} of {kind} is {body[key]}: not seconds of today"
    assert body.get("statusDetails") != {}, "empty details are left out"


def check_execution(execution):
    check("execution", execution)
    assert ("startedAt" in execution) == (execution["status"] != "QUEUED"), execution
    assert isinstance(execution.get("jobDocument", {}), dict), "a document is an object over MQTT"


def check_pending(in_progress, queued):
    for entry in [*in_progress, *queued]:
        check("summary", entry)
    assert all("startedAt" in entry for entry in in_progress) and not any("startedAt" in entry for entry in queued)


def check_answer(kind, accepted, answer):
    check(kind if accepted else "rejected", answer)
    if "execution" in answer:
        check_execution(answer["execution"])
    if "executionState" in answer:
        check("state", answer["executionState"])
        assert accepted or answer["code"] in ("VersionMismatch", "InvalidStateTransition"), answer
    if "queuedJobs" in answer:
        check_pending(answer["inProgressJobs"], answer["queuedJobs"])


def check_notification(topic, body):
    check(topic, body)
    if topic == NOTIFY:
        assert set(body["jobs"]) <= {"IN_PROGRESS", "QUEUED"} and all(body["jobs"].values()), body
        check_pending(body["jobs"].get("IN_PROGRESS", []), body["jobs"].get("QUEUED", []))
    elif "execution" in body:
        check_execution(body["execution"])
        assert "jobDocument" in body["execution"], body
