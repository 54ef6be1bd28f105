"""Requests as they leave `fleetsim`, recorded on their way to a service, and held against AWS's own model of it."""

import http.client
import json
import re
import ssl
import threading
import urllib.parse
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.session import get_session
from botocore.validate import ParamValidator


@dataclass(frozen=True)
class Recorded:
    method: str
    # As it was sent, escapes and query included.
    uri: str
    headers: dict
    body: bytes
    status: int


class Server(ThreadingHTTPServer):
    def handle_error(self, _request, _address):
        """A client that has ended resets its connections."""


class Recorder:
    """Speaks HTTP, and passes everything on to an address: as it came, so that signatures stay good."""

    def __init__(self, address, tls_roots=None):
        self.requests = []
        context = ssl.create_default_context(cafile=tls_roots) if tls_roots else None
        if context:
            context.check_hostname = False
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
                options = {"context": context} if context else {}
                forward = kind(*address, timeout=30, **options)
                forward.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    forward.putheader(name, value)
                forward.endheaders(body)
                answer = forward.getresponse()
                content = answer.read()
                forward.close()
                headers = {name.lower(): value for name, value in self.headers.items()}
                recorder.requests.append(Recorded(self.command, self.path, headers, body, answer.status))
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_arguments):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def end(self):
        self.server.shutdown()
        self.server.server_close()

    def operations(self):
        """Names of the operations that were called."""
        return [operation_of(request)[0].name for request in self.requests]


IOT = get_session().get_service_model("iot")


def pattern_of(uri):
    path = uri.partition("?")[0]
    return re.compile("^" + re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)) + "$")


OPERATIONS = [(IOT.operation_model(name), pattern_of(IOT.operation_model(name).http["requestUri"])) for name in IOT.operation_names]
# The more a path says, the sooner it is meant.
OPERATIONS.sort(key=lambda pair: pair[0].http["requestUri"].count("{"))


def operation_of(request):
    path = request.uri.partition("?")[0]
    for model, pattern in OPERATIONS:
        found = pattern.match(path)
        if model.http["method"] == request.method and found:
            return model, found
    raise AssertionError(f"no operation is {request.method} {request.uri}")


def check_request(request):
    """Whether it is one of the model: each member where it belongs and as it may be, nothing besides, and signed."""
    model, found = operation_of(request)
    where, shape = f"{model.name} {request.uri}", model.input_shape
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 "), where
    members = shape.members if shape else {}
    by_place = {"uri": {}, "querystring": {}, "header": {}, None: {}}
    for name, member in members.items():
        serialization = member.serialization
        by_place[serialization.get("location")][serialization.get("name", name)] = (name, member)
    arguments = {}
    for label, value in found.groupdict().items():
        assert urllib.parse.quote(urllib.parse.unquote(value), safe="-._~") == value, f"{where}: {value} is not escaped as botocore does"
        name, _ = by_place["uri"][label]
        arguments[name] = urllib.parse.unquote(value)
    for key, value in urllib.parse.parse_qsl(request.uri.partition("?")[2], keep_blank_values=True, strict_parsing="?" in request.uri):
        assert key in by_place["querystring"], f"{where}: the query has {key}"
        name, member = by_place["querystring"][key]
        arguments[name] = {"boolean": lambda text: {"true": True, "false": False}[text], "integer": int}.get(member.type_name, str)(value)
    for key, (name, _) in by_place["header"].items():
        if key.lower() in request.headers:
            arguments[name] = request.headers[key.lower()]
            assert key.lower() in request.headers["authorization"], f"{where}: {key} is not signed"
    body = json.loads(request.body or b"{}")
    assert set(body) <= set(by_place[None]), f"{where}: the body has {sorted(set(body) - set(by_place[None]))}"
    arguments |= {by_place[None][key][0]: value for key, value in body.items()}
    if shape:
        report = ParamValidator().validate(arguments, shape)
        assert not report.has_errors(), f"{where}: {report.generate_report()}"
        check_texts(shape, arguments, where)


def check_texts(shape, value, where):
    """Lengths, words and patterns, which botocore leaves to the service."""
    match shape.type_name:
        case "structure":
            for name, inner in value.items():
                check_texts(shape.members[name], inner, f"{where}.{name}")
        case "list":
            for inner in value:
                check_texts(shape.member, inner, where)
        case "string":
            assert not shape.enum or value in shape.enum, f"{where}: {value!r}"
            assert shape.metadata.get("min", 0) <= len(value) <= shape.metadata.get("max", len(value)), f"{where}: {value!r}"
            pattern = shape.metadata.get("pattern", "")
            assert r"\p" in pattern or re.match(pattern, value), f"{where}: {value!r} is not {pattern}"
