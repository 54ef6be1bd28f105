"""What the tests of other services have in common: the program, folders, a broker, a jobs service."""

import sys
from pathlib import Path

import pytest
from broker import SERVICE, own_broker
from emulator import MiniStack
from fleet import Fleet
from pki import Authority
from processes import Process

HERE = Path(__file__).parent


def pytest_addoption(parser):
    parser.addoption("--binary", required=True, help="fleetsim")
    parser.addoption("--ministack", required=True, help="the program of MiniStack")


@pytest.fixture(scope="session")
def binary(pytestconfig):
    return Path(pytestconfig.getoption("binary")).resolve()


@pytest.fixture
def ending():
    """Processes that end with the test, the youngest first."""
    started = []
    yield lambda process: started.append(process) or process
    for process in reversed(started):
        process.end()


@pytest.fixture
def run_fleet(binary, ending):
    """A function that starts a run in a folder."""
    return lambda *arguments, **settings: ending(Fleet(binary, *arguments, **settings))


@pytest.fixture(scope="session")
def ministack(pytestconfig, tmp_path_factory):
    server = MiniStack(Path(pytestconfig.getoption("ministack")).absolute(), tmp_path_factory.mktemp("ministack"))
    yield server
    server.end()


@pytest.fixture
def pki(tmp_path):
    """Where the scenario `mosquitto` looks for certificates."""
    authority = Authority(tmp_path / "certs/mosquitto")
    authority.issue_server()
    authority.issue(SERVICE)
    return authority


@pytest.fixture
def broker(tmp_path, pki, ending):
    return ending(own_broker(tmp_path))


@pytest.fixture
def respond(tmp_path, ending):
    """A function that starts the responder for so many things."""

    def start(port, things, *options):
        command = [sys.executable, "-B", HERE / "responder.py", "--port", port, "--things", things, "--ledger", tmp_path / "ledger.csv"]
        service = ending(Process([*command, *options], tmp_path / "service.log", tells=True))
        service.hear("ready")
        return service

    return start


@pytest.fixture
def start_service(pki, broker, respond):
    """The same, with certificates."""

    def start(things, *options):
        for index in range(things):
            pki.issue_thing(f"sim-{index:06}", index)
        certificate, key = (pki.directory / f"{SERVICE}.{kind}.pem" for kind in ("cert", "key"))
        return respond(broker.port, things, "--ca", pki.ca, "--cert", certificate, "--key", key, *options)

    return start
