"""What the tests of other services have in common: the program, folders, a broker, a jobs service."""

import json
import sys
from pathlib import Path

import pytest
from broker import SERVICE, Broker
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
    return lambda folder, scenario, *options: ending(Fleet(binary, folder, scenario, *options))


@pytest.fixture
def pki(tmp_path):
    """Where the scenario `mosquitto` looks for certificates."""
    authority = Authority(tmp_path / "certs/mosquitto")
    authority.issue_server()
    authority.issue(SERVICE)
    return authority


@pytest.fixture
def broker(tmp_path, pki, ending):
    return ending(Broker(tmp_path, pki.directory))


@pytest.fixture
def start_service(tmp_path, pki, broker, ending):
    """A function that starts the responder for so many things."""

    def start(things, *options):
        for index in range(things):
            pki.issue_thing(f"sim-{index:06}", index)
        command = [sys.executable, "-B", HERE / "responder.py", "--host", "localhost", "--port", broker.port, "--things", things]
        command += ["--ca", pki.ca, "--cert", pki.directory / f"{SERVICE}.cert.pem", "--key", pki.directory / f"{SERVICE}.key.pem"]
        service = ending(Process([*command, "--ledger", tmp_path / "ledger.csv", *options], tmp_path / "service.log", tells=True))
        service.hear("ready")
        return service

    return start
