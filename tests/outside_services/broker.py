"""mosquitto with mutual TLS: who a client is, its certificate says."""

import shutil

from processes import Process, free_port, listens, wait_until

SERVICE = "jobs-service"
CONFIGURATION = """\
listener {port} 127.0.0.1
cafile {pki}/ca.cert.pem
certfile {pki}/server.cert.pem
keyfile {pki}/server.key.pem
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {folder}/acl
persistence false
# Started as root it would become another user, who may not read the keys.
user root
"""
# A thing has its own topics; the service has everybody's.
ACCESS = f"""\
pattern readwrite $aws/things/%u/jobs/#
user {SERVICE}
topic readwrite $aws/things/#
"""


def mosquitto():
    """Debian keeps servers where not every user looks."""
    return shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


class Broker:
    """A broker that can be ended and started again on the same port."""

    def __init__(self, folder, pki):
        self.port = free_port()
        self.folder = folder
        self.configuration = folder / "mosquitto.conf"
        self.configuration.write_text(CONFIGURATION.format(port=self.port, pki=pki, folder=folder))
        access = folder / "acl"
        access.write_text(ACCESS)
        access.chmod(0o600)
        self.start()

    def start(self):
        self.process = Process([mosquitto(), "-c", self.configuration], self.folder / "mosquitto.log")
        wait_until("mosquitto listens", lambda: listens(self.port))

    def end(self):
        self.process.end()
