"""Where the endpoint is, and a thing of its own for each test that wants one."""

import configparser
import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest
from control import Boto3, Cli


WHERE = {
    "mqtt": "host:port of MQTT",
    "https": "host:port of HTTPS by certificate",
    "api": "host:port of whatever is signed",
    "pki": "directory of certificates",
    "binary": "the program",
    "tools": "directory of Prometheus and of the JUnit schema",
}


def pytest_addoption(parser):
    for name, what in WHERE.items():
        parser.addoption(f"--{name}", required=True, help=what)


@pytest.fixture(scope="session")
def binary(pytestconfig):
    return Path(pytestconfig.getoption("binary")).resolve()


@dataclass(frozen=True)
class Site:
    """An endpoint that runs, and the certificates that go with it."""

    mqtt: tuple
    https: str
    api: str
    pki: Path

    @property
    def ca(self):
        return self.pki / "ca.cert.pem"

    def certificate(self, name):
        return self.pki / f"things/{name}.cert.pem", self.pki / f"things/{name}.key.pem"

    def keys(self):
        credentials = configparser.ConfigParser()
        credentials.read(self.pki / "aws-credentials")
        return dict(credentials["default"])


@pytest.fixture(scope="session")
def site(pytestconfig):
    host, _, port = pytestconfig.getoption("mqtt").rpartition(":")
    https, api = (f"https://{pytestconfig.getoption(name)}" for name in ("https", "api"))
    return Site((host, int(port)), https, api, Path(pytestconfig.getoption("pki")).resolve())


@pytest.fixture(scope="session")
def things_left(site):
    """The things that `serve --things N` made, one for each test that asks."""
    return iter(sorted(path.name.removesuffix(".cert.pem") for path in (site.pki / "things").glob("*.cert.pem")))


@pytest.fixture
def thing_name(things_left):
    return next(things_left)


@pytest.fixture(scope="session")
def boto3_control(site):
    return Boto3(site)


@pytest.fixture(scope="session")
def cli_control(site):
    return Cli(site)


@pytest.fixture(scope="session")
def iot(boto3_control):
    return boto3_control.iot


@pytest.fixture(scope="session")
def unique():
    """A function that makes a name no other test has."""
    counter = itertools.count()
    return lambda what: f"{what}-{next(counter)}"


@pytest.fixture
def other_thing_name(things_left):
    return next(things_left)
