"""A device fetches what its document names, and puts what it is asked for (PROTOCOL 17.1), with Python's own HTTP client."""

import ssl
import urllib.error
import urllib.request

import pytest
from control import thing_arn
from things.paho_mqtt import PahoThing

DOCUMENT = """{
    "firmware": "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/outside/fw.bin}",
    "log": "${aws:iot:s3-presigned-url-upload:https://s3.us-east-1.amazonaws.com/outside/${thingName}/${jobId}.txt}"
}"""


def test_a_device_uses_the_urls_of_its_document(site, iot, unique, thing_name):
    def ask(method, url, data=None):
        request = urllib.request.Request(url, data=data, method=method)
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=site.ca), timeout=10) as answer:
            return answer.status, answer.read()

    bucket, job = site.pki / "objects/outside", unique("objects")
    bucket.mkdir(parents=True)
    (bucket / "fw.bin").write_bytes(bytes(range(256)) * 40)
    role = {"roleArn": "arn:aws:iam::111122223333:role/JobsS3Read", "expiresInSec": 60}
    iot.create_job(jobId=job, targets=[thing_arn(thing_name)], document=DOCUMENT, presignedUrlConfig=role)
    thing = PahoThing(site, thing_name)
    document = thing.ask("start-next", {})[1]["execution"]["jobDocument"]
    thing.close()
    assert ask("GET", document["firmware"]) == (200, bytes(range(256)) * 40)
    assert ask("PUT", document["log"], b"all is well")[0] == 200
    assert (bucket / thing_name / f"{job}.txt").read_bytes() == b"all is well"
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask("GET", document["firmware"].replace("fw.bin", "other.bin"))
    assert refused.value.code == 403
