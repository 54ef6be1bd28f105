"""What policies cost the endpoint: sessions under the usual policy, and under a long one with ten groups."""

import json
import os
import statistics

from .common import PAIRS, WORK, Serve, figure
from .control import arn

CHARS_MAX = 2_048
GROUPS = 10
# Of a session, and of its certificate in the registry.
KB_A_SESSION_MAX = 1.0
CPU_MAX, LONG_MAX = 1.05, 1.10


def long_policy():
    """What a device usually may, behind as many statements about others as AWS takes."""
    own = "$aws/things/${iot:Connection.Thing.ThingName}/jobs/*"
    needed = [("iot:Connect", "client/${iot:Connection.Thing.ThingName}"), ("iot:Publish", f"topic/{own}"), ("iot:Receive", f"topic/{own}"), ("iot:Subscribe", f"topicfilter/{own}")]
    statements = [{"Effect": "Allow", "Action": action, "Resource": f"arn:aws:iot:*:*:{resource}"} for action, resource in needed]
    text = lambda: json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))  # noqa: E731
    while True:
        other = {"Effect": "Deny", "Action": "iot:Publish", "Resource": f"arn:aws:iot:*:*:topic/never/{len(statements):03}/*"}
        statements.insert(0, other)
        if len(text()) > CHARS_MAX:
            statements.pop(0)
            return text()


def long_file():
    path = WORK / "long-policy.json"
    path.write_text(long_policy())
    return path


def with_groups(serve, things):
    """Every thing in a hierarchy of its own ten times over, each group with a policy of its own."""
    control = serve.control()
    for n in range(GROUPS):
        text = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "iot:Publish", "Resource": f"arn:aws:iot:*:*:topic/group/{n}/*"}}
        control.call("POST", f"/policies/group-{n}", {"policyDocument": json.dumps(text)})
        control.group(f"g-{n}", range(things))
        control.call("PUT", f"/target-policies/group-{n}", {"target": arn("thinggroup", f"g-{n}")})


def measure(things, seconds, options=(), groups=False, binary=None):
    """CPU of 100,000 requests with their answers, and RSS of a session at rest."""
    with Serve(things, *options, **({"binary": binary} if binary else {})) as serve:
        if groups:
            with_groups(serve, things)
        before = serve.rss_bytes()
        result = serve.floor("bare", "rate", things, seconds, request="start-next")
        return result["endpoint_cpu_per_100k_pairs"], (result["endpoint_rss_bytes"] - before) / things, result["failures"]


def compare(verdict, what, one, other, pairs):
    """(CPU ratio, more bytes a session) of `other` against `one`, run by turns."""
    rows = []
    for n in range(pairs):
        row = [one(), other()] if n % 2 == 0 else [other(), one()][::-1]
        rows.append(row)
    failures = sum(run[2] for row in rows for run in row)
    verdict.check(f"{what}: things that failed", failures, 0)
    cpu = statistics.median(second[0] / first[0] for first, second in rows)
    more = statistics.median(second[1] - first[1] for first, second in rows)
    return cpu, more


@figure
def policies(verdict, things=10_000, pairs=PAIRS, seconds=10):
    """10,000 sessions whose every message is judged: 5 % of CPU and 1 KB a session over a build without policies, and 10 % for a long policy and ten groups."""
    usual = lambda: measure(things, seconds)  # noqa: E731
    earlier = os.environ.get("FLEETSIM_BASE")
    if earlier:
        cpu, more = compare(verdict, "the usual policy against an earlier build", lambda: measure(things, seconds, binary=earlier), usual, pairs)
        verdict.check("CPU of the usual policy against an earlier build", cpu, CPU_MAX)
        verdict.check("RSS a session against an earlier build", more / 1e3, KB_A_SESSION_MAX, unit=" KB")
    else:
        verdict.note("FLEETSIM_BASE names no earlier build: what policies cost at all is not measured")
    cpu, more = compare(verdict, "a long policy and ten groups", usual, lambda: measure(things, seconds, ("--policy", long_file()), groups=True), pairs)
    verdict.check(f"CPU with a policy of {len(long_policy())} characters and {GROUPS} groups, against the usual one", cpu, LONG_MAX)
    verdict.note(f"{more / 1e3:.2f} KB more a session")
