"""Four processes that share a fleet, merged, against one that drives it alone, and against their own histograms."""

import base64
import csv
import datetime
import os
import struct
import subprocess
import zlib

from .common import BINARY, WORK, Serve, figure, manifest_of, results

THINGS = 2_000
SLICES = 4
# Until the start: every process has its certificates read, and the first one the group made, by then. Things are put into it at the pace of
# an account, 100 a second.
READY_S = 60
SCENARIO = """
name = "merge"
seed = 23
[target]
kind = "aws"
region = "us-east-1"
[target.tls]
ca = "{pki}/ca.cert.pem"
cert = "{pki}/things/{{thing}}.cert.pem"
key = "{pki}/things/{{thing}}.key.pem"
[fleet]
things = {things}
connect = {{ rate = "400/s" }}
[[cohort]]
name = "healthy"
share = 0.9
behavior = "quick"
[[cohort]]
name = "slow"
share = 0.1
behavior = "slow"
[behavior.quick]
reaction = "uniform(0s, 1s)"
step = "exp(300ms)"
updates = 3
outcome = {{ succeeded = 0.9, failed = 0.07, rejected = 0.03 }}
[behavior.slow]
reaction = "uniform(0s, 2s)"
step = "exp(1s)"
updates = 2
outcome = {{ succeeded = 0.5, failed = 0.5, rejected = 0 }}
[[rollout]]
job = "fw-{{n}}"
count = 2
every = "3s"
at = "7s"
rate = "20000/min"
document = {{ operation = "firmware" }}
[[event]]
at = "12s"
kind = "disconnect"
share = 0.2
for = "1s"
[end]
limit = "3m"
"""


def account(serve):
    """The environment in which the endpoint is an account."""
    pki = serve.ready["dir"]
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
        "AWS_ENDPOINT_URL_IOT": f"https://{serve.ready['api']}",
        "AWS_CA_BUNDLE": f"{pki}/ca.cert.pem",
        "AWS_SHARED_CREDENTIALS_FILE": f"{pki}/aws-credentials",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def scenario(serve):
    """The file that all processes read."""
    file = WORK / "merge.toml"
    file.write_text(SCENARIO.format(pki=serve.ready["dir"], things=THINGS))
    return file


def run(serve, file, out, *options):
    """A process that drives the fleet, or a slice of it."""
    # It is an account as far as they know: they would ask, and want to be told that so much is meant.
    meant = ["--yes", "--allow-things", str(THINGS), "--allow-cost", "100"]
    return subprocess.Popen([BINARY, "--quiet", "run", file, "--ui", "none", "--out", out, *meant, *options], cwd=WORK, env=account(serve))


def outcomes(out):
    """(thing, job, status) of every execution, sorted; the id of a run behind that of a job left out."""
    with open(out / "executions.csv", newline="") as file:
        return sorted((row["thing"], row["job"].rpartition("-")[0], row["status"]) for row in csv.DictReader(file))


def varints(data):
    """Numbers as HdrHistogram writes them: ZigZag in LEB128, the ninth byte whole."""
    at = 0
    while at < len(data):
        value = 0
        for n in range(9):
            byte = data[at]
            at += 1
            value |= (byte if n == 8 else byte & 0x7F) << (7 * n)
            if n == 8 or byte < 0x80:
                break
        yield (value >> 1) ^ -(value & 1)


def counts(encoded):
    """Number of values by index of their bucket, and the settings that give the buckets their bounds."""
    data = base64.b64decode(encoded)
    cookie, length = struct.unpack_from(">II", data)
    assert cookie & ~0xF0 == 0x1C849304, f"no deflated histogram of version 2: {cookie:#x}"
    plain = zlib.decompress(data[8 : 8 + length])
    cookie, length, *settings = struct.unpack_from(">IIiiqqd", plain)
    assert cookie & ~0xF0 == 0x1C849303, f"no histogram of version 2: {cookie:#x}"
    index, found = 0, {}
    for value in varints(plain[40 : 40 + length]):
        if value < 0:
            index -= value
        else:
            if value:
                found[index] = value
            index += 1
    return tuple(settings), found


def histograms(out):
    """Buckets by (tag, start and length of the second)."""
    found = {}
    for line in (out / "histograms.hlog").read_text().splitlines():
        if line.startswith("Tag="):
            tag, start, length, _, encoded = line.split(",", 4)
            settings, buckets = counts(encoded)
            found[tag.removeprefix("Tag="), start, length, settings] = buckets
    return found


def summed(folders):
    """The same of several folders, bucket by bucket."""
    sums = {}
    for folder in folders:
        for key, buckets in histograms(folder).items():
            into = sums.setdefault(key, {})
            for index, count in buckets.items():
                into[index] = into.get(index, 0) + count
    return sums


@figure
def merge(verdict):
    """Four shards of 2,000 things, merged: the outcomes of one process, and histograms that are, bucket by bucket, those of the shards together."""
    alone, whole = results("merge-alone"), results("merge-whole")
    shards = [results(f"merge-shard-{index}") for index in range(SLICES)]
    with Serve(THINGS) as serve:
        code = run(serve, scenario(serve), alone).wait(timeout=300)
    verdict.check("exit code of one process", code, 0)
    with Serve(THINGS) as serve:
        file = scenario(serve)
        start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=READY_S)
        start_at = ("--start-at", start.isoformat(timespec="milliseconds"))
        runs = [run(serve, file, out, "--shard", f"{index}/{SLICES}", "--shards", "1", *start_at) for index, out in enumerate(shards)]
        codes = [process.wait(timeout=300) for process in runs]
    verdict.check("exit code of the worst shard", max(codes), 0)
    code = subprocess.run([BINARY, "merge", whole, *shards], cwd=WORK, stdout=subprocess.DEVNULL).returncode
    verdict.check("exit code of the whole", code, 0)

    one, all_shards = outcomes(alone), outcomes(whole)
    verdict.note(f"{len(one)} executions of one process, {len(all_shards)} of the whole, {sum(len(outcomes(out)) for out in shards)} of its shards")
    verdict.check("executions of one process", len(one), 2 * THINGS, at_least=True)
    verdict.check("outcomes that only one of the two has", len(set(one) ^ set(all_shards)) + abs(len(one) - len(all_shards)), 0)
    merged, expected = histograms(whole), summed(shards)
    buckets = sum(len(buckets) for buckets in merged.values())
    values = sum(sum(buckets.values()) for buckets in merged.values())
    verdict.note(f"{len(merged)} histograms with {buckets} buckets and {values} values, of {len({key[0] for key in merged})} tags")
    verdict.check("values in the whole", values, 10 * THINGS, at_least=True)
    wrong = [key for key in merged.keys() | expected.keys() if merged.get(key) != expected.get(key)]
    verdict.check("histograms that are not those of the shards", len(wrong), 0)
    things = [manifest_of(out)["totals"]["things"] for out in shards]
    verdict.note(f"things of the shards: {things}; findings of the whole: {manifest_of(whole)['findings'] or 'none'}")
    verdict.check("things of the shards", sum(things), THINGS, at_least=True)
