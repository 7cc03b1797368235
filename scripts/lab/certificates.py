"""An authority and the certificates it issues, made by openssl for one test run."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """`both` holds certificate and key in one file, as mongod and the drivers want it."""

    certificate: Path
    key: Path
    both: Path
    subject: str  # as a user's name in $external: "CN=plm,OU=clients,O=lab"


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Authority:
    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca.key"
        _openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/O=lab/CN={name}"),
            *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            *("-keyout", str(self._key), "-out", str(self.certificate)),
        )

    def encrypted(self, certificate: Certificate, password: str) -> Path:
        """Certificate and key in one file, the key under this password."""
        path = certificate.both.with_suffix(".encrypted.pem")
        _openssl("pkey", "-aes256", "-in", str(certificate.key), "-passout", f"pass:{password}", "-out", str(path))
        path.write_text(certificate.certificate.read_text() + path.read_text())
        return path

    def issue(self, name: str, *, unit: str = "servers", hosts: list[str] | None = None) -> Certificate:
        """A certificate for this name, and as a server for these addresses."""
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        certificate, both = self.folder / f"{name}.crt", self.folder / f"{name}.pem"
        extensions = self.folder / f"{name}.ext"
        names = "".join(f",IP:{host}" if host[0].isdigit() else f",DNS:{host}" for host in hosts or [])
        extensions.write_text(
            "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\n"
            f"extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:localhost{names}\n"
        )
        subject = f"/O=lab/OU={unit}/CN={name}"
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", str(key), "-out", str(request))
        _openssl(
            *("x509", "-req", "-days", "2", "-in", str(request), "-extfile", str(extensions), "-out", str(certificate)),
            *("-CA", str(self.certificate), "-CAkey", str(self._key), "-CAcreateserial"),
        )
        both.write_text(certificate.read_text() + key.read_text())
        for private in (key, both):
            private.chmod(0o600)
        return Certificate(certificate, key, both, f"CN={name},OU={unit},O=lab")
