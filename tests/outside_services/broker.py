"""mosquitto with mutual TLS: who a client is, its certificate says."""

import shutil

from processes import Process, free_port, listens, wait_until

SERVICE = "jobs-service"
CONFIGURATION = """\
set_tcp_nodelay true
listener {port} 127.0.0.1
cafile certs/mosquitto/ca.cert.pem
certfile certs/mosquitto/server.cert.pem
keyfile certs/mosquitto/server.key.pem
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file mosquitto.acl
persistence false
"""
# Started as root it would become another user, who may not read the keys.
AS_ROOT = "user root\n"
# A thing has its own topics; the service has everybody's.
ACCESS = f"""\
pattern readwrite $aws/things/%u/jobs/#
user {SERVICE}
topic readwrite $aws/things/#
"""


def mosquitto():
    """Debian keeps servers where not every user looks."""
    return shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def own_broker(folder):
    """One for tests that issue certificates themselves."""
    port = free_port()
    return Broker(folder, CONFIGURATION.format(port=port), ACCESS, port)


class Broker:
    """A broker that can be ended and started again on the same port."""

    def __init__(self, folder, configuration, access, port):
        self.folder = folder
        self.port = port
        for file, text in (("mosquitto.conf", AS_ROOT + configuration), ("mosquitto.acl", access)):
            path = folder / file
            path.write_text(text)
            path.chmod(0o600)
        self.start()

    def start(self):
        self.process = Process([mosquitto(), "-c", "mosquitto.conf"], self.folder / "mosquitto.log", cwd=self.folder)
        wait_until("mosquitto listens", lambda: self.process.is_alive() and listens(self.port))

    def end(self):
        self.process.end()
