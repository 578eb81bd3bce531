"""A real time-stamp authority: openssl ts behind a small HTTP server, with a root and a certificate of its own."""

import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_CONFIG = """
[ tsa ]
default_tsa = it
[ it ]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.2
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""
_EXTENSIONS = """
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
"""


class Authority:
    """Answers time-stamp requests; `change` may spoil the answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root.pem"
        self.asked: list[bytes] = []
        self.status = 200
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.change: Callable[[bytes], bytes] = lambda answer: answer
        self._make()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_port}/tsr"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def reply(self, query: bytes) -> bytes:
        """The answer to a request."""
        (self.folder / "query").write_bytes(query)
        self._openssl("ts", "-reply", "-config", "ts.cnf", "-queryfile", "query", "-out", "answer")
        return (self.folder / "answer").read_bytes()

    def _make(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "ts.cnf").write_text(_CONFIG.format(folder=self.folder))
        (self.folder / "extensions").write_text(_EXTENSIONS)
        (self.folder / "serial").write_text("01")
        new = ("-newkey", "rsa:2048", "-nodes")
        self._openssl("req", "-x509", *new, "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=Root of tests")
        self._openssl("req", *new, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Authority of tests")
        signed_by = ("-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-extfile", "extensions")
        self._openssl("x509", "-req", "-in", "tsa.csr", *signed_by, "-days", "3650", "-out", "tsa.pem")

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def _handler(authority) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                authority.asked.append(query)
                answer = authority.change(authority.reply(query))
                authority.may_answer.wait(30)
                self.send_response(authority.status)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
