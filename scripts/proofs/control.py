"""The control plane as a script needs it: signed calls, with nothing but Python's own library."""

import configparser
import datetime
import hashlib
import hmac
import http.client
import json
import ssl
import urllib.parse

REGION, ACCOUNT, SERVICE = "us-east-1", "111122223333", "iot"


def arn(kind, name):
    return f"arn:aws:iot:{REGION}:{ACCOUNT}:{kind}/{name}"


class Control:
    """One kept-alive connection to the API listener of an endpoint whose certificates live in `pki`."""

    def __init__(self, address, pki):
        profiles = configparser.ConfigParser()
        profiles.read(f"{pki}/aws-credentials")
        self.key_id, self.secret = (profiles["default"][key] for key in ("aws_access_key_id", "aws_secret_access_key"))
        self.address = address
        self.connection = http.client.HTTPSConnection(address, context=ssl.create_default_context(cafile=f"{pki}/ca.cert.pem"), timeout=60)

    def call(self, method, path, body=None):
        """The answer's body; an error of the service ends the proof."""
        payload = b"" if body is None else json.dumps(body).encode()
        self.connection.request(method, path, payload, self.signed(method, path, payload))
        response = self.connection.getresponse()
        answer = response.read()
        assert response.status == 200, f"{method} {path}: {response.status} {answer.decode()}"
        return json.loads(answer or b"{}")

    def signed(self, method, path, payload):
        """Headers with a signature of version 4."""
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{moment[:8]}/{REGION}/{SERVICE}/aws4_request"
        canonical = "\n".join((
            # Every segment is encoded twice, as for every service but S3.
            method, urllib.parse.quote(path), "", f"host:{self.address}", f"x-amz-date:{moment}", "", "host;x-amz-date",
            hashlib.sha256(payload).hexdigest(),
        ))
        text = "\n".join(("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
        key = f"AWS4{self.secret}".encode()
        for part in (*scope.split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        authorization = f"AWS4-HMAC-SHA256 Credential={self.key_id}/{scope}, SignedHeaders=host;x-amz-date, Signature={key.hex()}"
        return {"host": self.address, "x-amz-date": moment, "authorization": authorization, "content-type": "application/json"}

    def group(self, name, things):
        """A thing group with the endpoint's things of these numbers in it."""
        self.call("POST", f"/thing-groups/{name}", {})
        for n in things:
            self.call("PUT", "/thing-groups/addThingToThingGroup", {"thingGroupName": name, "thingName": f"sim-{n:06}"})

    def job(self, name, group, document):
        """A job for a group, without a limit on its roll-out."""
        self.call("PUT", f"/jobs/{name}", {"targets": [arn("thinggroup", group)], "document": json.dumps(document)})
