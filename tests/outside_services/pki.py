"""Certificates as a company of its own would make them: a CA, a broker's, a service's, and one a thing, with keys of every kind and form."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PKCS8 = serialization.PrivateFormat.PKCS8
# PKCS#1 for RSA, SEC1 for EC.
TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL
VALID_FOR = datetime.timedelta(days=2)
# RSA keys take long to make: the first things have them.
RSA_KEYS = 4


class Authority:
    """A CA whose files go to `directory`, laid out as fleetsim lays out its own."""

    def __init__(self, directory):
        self.directory = directory
        (directory / "things").mkdir(parents=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA of the tests")])
        certificate = self.sign(self.name, self.key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
        self.ca = self.write("ca.cert.pem", certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, subject, public_key, *extensions):
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(self.name, subject, public_key, x509.random_serial_number(), now - VALID_FOR, now + VALID_FOR)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256())

    def write(self, file, content):
        path = self.directory / file
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    def issue(self, name, file=None, key=None, form=PKCS8, *extensions):
        """The paths of a certificate and its key."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self.sign(subject, key.public_key(), x509.BasicConstraints(ca=False, path_length=None), *extensions)
        file = file or name
        return (
            self.write(f"{file}.cert.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            self.write(f"{file}.key.pem", key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())),
        )

    def issue_server(self):
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return self.issue("localhost", "server", None, PKCS8, x509.SubjectAlternativeName(names))

    def issue_thing(self, name, index):
        key = rsa.generate_private_key(65537, 2048) if index < RSA_KEYS else ec.generate_private_key(ec.SECP256R1())
        return self.issue(name, f"things/{name}", key, TRADITIONAL if index % 2 else PKCS8)
