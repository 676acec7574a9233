"""Certificates for tests, made by openssl: self-signed, for *.localhost."""

import pathlib
import ssl
import subprocess


def make_certificate(directory: pathlib.Path, name: str) -> tuple[pathlib.Path, pathlib.Path]:
    """The certificate's common name is `name`, so that a test can tell one from another."""
    directory.mkdir(parents=True, exist_ok=True)
    certificate, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=DNS:test.localhost,DNS:*.localhost"],
                   check=True, capture_output=True, timeout=60)
    return certificate, key


def trusting(certificate: pathlib.Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def common_name(connection) -> str:
    subject = connection.socket.getpeercert()["subject"]
    return next(value for part in subject for key, value in part if key == "commonName")
