"""A private authority, and TLS before any server on loopback, as a proxy such as stunnel has it."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """An authority, and a certificate of it for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self.file, self.certificate, self.key = (folder / name for name in ("ca.pem", "server.pem", "server.key"))
        own_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        own = _signed("a private authority", own_key, "a private authority", own_key, authority=True)
        server = _signed("a server", key, "a private authority", own_key, authority=False)
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        self.certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    @contextmanager
    def before(self, url: str, *, asks_clients: bool = False) -> Iterator[str]:
        """TLS before the server of this URL; the URL without its scheme, with the port of the TLS.

        It can ask clients for a certificate of this authority.
        """
        rest = url.partition("://")[2]
        at, slash, path = rest.partition("/")
        userinfo, _, address = at.rpartition("@")
        host, _, port = address.partition(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if asks_clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
            threading.Thread(target=_serve, args=(listening, context, (host, int(port))), daemon=True).start()
            here = f"127.0.0.1:{listening.getsockname()[1]}"
            yield f"{f'{userinfo}@' if userinfo else ''}{here}{slash}{path}"
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    by: str,
    by_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(loopback, critical=False)
        .sign(by_key, hashes.SHA256())
    )


def _serve(listening: socket.socket, context: ssl.SSLContext, target: tuple[str, int]) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:  # closed
            return
        threading.Thread(target=_relay, args=(client, context, target), daemon=True).start()


def _relay(client: socket.socket, context: ssl.SSLContext, target: tuple[str, int]) -> None:
    with (
        contextlib.suppress(OSError),
        context.wrap_socket(client, server_side=True) as inside,
        socket.create_connection(target) as server,
    ):
        back = threading.Thread(target=_copy, args=(server, inside), daemon=True)
        back.start()
        _copy(inside, server)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
