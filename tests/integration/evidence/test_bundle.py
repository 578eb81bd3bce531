"""The bundle of evidence: verified by Lethe alone, and by following its page; refused after any change."""

import html
import io
import json
import re
import subprocess
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from demo.evolution.seed import seed_instance
from shared import signing
from shared.audit import chain
from shared.audit.entries import Action, Actor, Decision, Entry
from shared.database.connections import own_transaction
from shared.database.enums import Role
from shared.errors import LetheError
from shared.evidence import bundle, members, verification
from shared.services import Services
from shared.stamps import token
from tasks.orders import attest
from tests.authority import Authority
from tests.integration.console.visitor import signed_in
from tests.integration.inline import accept, erase, run_all
from tests.integration.keyring import make_key
from tests.integration.shell import lethe
from tests.system import System
from worker.stamping import stamp

NAME = "evidence of 5511987650008"
ADDRESS = "203.0.113.77"


@dataclass(frozen=True)
class Made:
    """A bundle with all members, and what it is of."""

    content: bytes
    deletion_id: UUID
    instance_id: str

    @property
    def files(self) -> dict[str, bytes]:
        """Its members."""
        return members.unpack(self.content)


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System], authority: Authority) -> Iterator[System]:
    """A deployment whose receipts are stamped by the authority."""
    made = make_system(timestamp_url=authority.url, timestamp_ca_file=authority.root)
    made.start("web")
    yield made
    made.close()


@pytest.fixture(scope="module")
def made(system: System, services: Services) -> Made:
    """The bundle of an instance that was erased, attested and stamped, among others."""
    erase(services, system, "before")
    deletion_id, instance_id = erase(services, system, NAME)
    tuple(attest.attest(services, Actor("admin", "bootstrap", ADDRESS), attest.find(services.own, deletion_id)))
    erase(services, system, "between")
    stamp(services)
    other = Entry(Action.READ, Decision.ACCEPTED, Actor("admin", "bootstrap", ADDRESS), reason="audit")
    with own_transaction(services.own) as connection:
        chain.append(connection, other, Entry(Action.EVIDENCE, Decision.ACCEPTED, Actor("admin"), instance_id))
    content = bundle.compose(services.own, services.settings, deletion_id, with_callers=True)
    return Made(content, deletion_id, instance_id)


def is_refused(content: bytes) -> bool:
    """Whether it is not verified."""
    try:
        verification.verify(content)
    except LetheError:
        return True
    return False


def test_it_is_verified_without_settings(made: Made, authority: Authority, tmp_path: Path) -> None:
    """And says what it proves; with the operator's key and the authority's root, which are not those of another."""
    (tmp_path / "it.zip").write_bytes(made.content)
    (tmp_path / "keys.json").write_bytes(made.files["keys.json"])
    other = signing.as_jwk(Ed25519PrivateKey.generate().public_key())["kid"]
    strange = Authority(tmp_path / "strange")
    strange._server.server_close()

    def verify(*words: str) -> subprocess.CompletedProcess[str]:
        return lethe(None, "evidence", "verify", str(tmp_path / "it.zip"), *words)

    plain, as_json = verify(), json.loads(verify("--json").stdout)
    trusted = verify("--key", str(tmp_path / "keys.json"), "--stamp-roots", str(authority.root))
    wrong_key, wrong_root = verify("--key", other), verify("--stamp-roots", str(strange.root))
    no_key = verify("--key", made.files["keys.json"].decode() * 9)

    assert plain.returncode == 0, plain.stderr
    assert f"Valid: deletion {made.deletion_id} of instance {made.instance_id}" in plain.stdout
    assert "Compare this with what the operator publishes" in plain.stdout
    assert trusted.returncode == 0, trusted.stderr
    assert "ompare" not in trusted.stdout
    assert (wrong_key.returncode, wrong_root.returncode, no_key.returncode) == (1, 1, 1)
    assert "has no keys" in no_key.stderr
    assert "none of those that you trust" in wrong_key.stderr
    assert "leads to none of the roots" in wrong_root.stderr
    assert set(as_json["stamps"]) == {"receipt.json", "attestation.json", "head.stamped.json"}
    assert (as_json["auditLines"], as_json["attestation"]["found"]) == (3, 0)


def test_its_page_is_followed_with_openssl_alone(made: Made, tmp_path: Path) -> None:
    """In an empty folder, with a shell, openssl and the usual tools; in both languages the same commands."""
    zipfile.ZipFile(io.BytesIO(made.content)).extractall(tmp_path)
    english, portuguese = commands(tmp_path)

    followed = follow(english, tmp_path)

    assert english == portuguese
    assert followed.returncode == 0, followed.stderr
    said = followed.stdout + followed.stderr
    assert "no file was changed\nno file was added or removed\n" in said
    assert said.count("Signature Verified Successfully") == 5
    assert "the attestation names this receipt" in said
    assert said.count(": in the chain") == 3 + 2
    assert "NOT IN" not in said
    assert said.count("Verification: OK") == said.count("Time stamp:") == 3
    for key in re.findall(r"keys/(.*)\.pem", "\n".join(made.files)):
        assert key in followed.stdout


def test_it_has_each_key_that_has_signed(system: System, services: Services, made: Made, tmp_path: Path) -> None:
    """After a change of the key, the receipt has the old one and the list the new one; the page names both."""
    key = SecretStr(b64encode(b"another key of 32 bytes for test").decode())
    changed = system.make_services(receipt_key=key)
    content = bundle.compose(changed.own, changed.settings, made.deletion_id, with_callers=True)
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)

    followed = follow(commands(tmp_path)[1], tmp_path)

    assert len(verification.verify(content).key_ids) == 2
    assert (followed.stdout + followed.stderr).count("Signature Verified Successfully") == 5


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("receipt.json", b'"Message":1', b'"Message":2', "receipt.json: FAILED"),
        ("attestation.json", b'"found":0', b'"found":1', "Signature Verification Failure"),
        ("lines/", b'"role":"worker"', b'"role":"admin"', "NOT IN THE CHAIN"),
        ("receipt.tsr", b"Authority of tests", b"Authority of testz", "receipt.tsr: FAILED"),
    ],
)
def test_its_page_finds_what_was_changed(
    made: Made, tmp_path: Path, name: str, old: bytes, new: bytes, says: str
) -> None:
    """In a document, a line of the audit, or a stamp."""
    zipfile.ZipFile(io.BytesIO(made.content)).extractall(tmp_path)
    path = next(
        each for each in sorted(tmp_path.rglob("*.*")) if is_of(each, tmp_path, name) and old in each.read_bytes()
    )
    path.write_bytes(path.read_bytes().replace(old, new))

    followed = follow(commands(tmp_path)[0], tmp_path)

    assert says in followed.stdout + followed.stderr


def test_its_page_finds_what_was_added(made: Made, tmp_path: Path) -> None:
    """A file that is not in the list, whatever its name."""
    zipfile.ZipFile(io.BytesIO(made.content)).extractall(tmp_path)
    (tmp_path / "it.zip").write_bytes(made.content)
    for name in ("lines/contents.json", "keys/more.zip"):
        (tmp_path / name).write_text("{}")

    followed = follow(commands(tmp_path)[0], tmp_path)

    assert "no file was changed" in followed.stdout
    assert "no file was added" not in followed.stdout
    assert {line for line in followed.stdout.splitlines() if line[:2] == "> "} == {
        "> lines/contents.json",
        "> keys/more.zip",
    }


def is_of(path: Path, folder: Path, name: str) -> bool:
    """Whether the path begins with that name."""
    return path.relative_to(folder).as_posix().startswith(name)


def commands(folder: Path) -> list[str]:
    """What the page tells to type, in each language."""
    page = (folder / "index.html").read_text()
    sections = page.split("<section")[1:]
    return [html.unescape("".join(re.findall(r"<pre>\n(.*?)</pre>", section, re.DOTALL))) for section in sections]


def follow(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Type it into a shell."""
    return subprocess.run(
        ["/bin/sh"],
        input=script,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_changed_byte_is_refused_wherever_it_is(made: Made) -> None:
    """In the middle and at the ends of each member, and in what the zip file says of it."""
    assert not is_refused(made.content)
    accepted = [at for at in places(made.content) if not is_refused(flipped(made.content, at))]
    shorter = [cut for cut in (1, 22, 500) if not is_refused(made.content[:-cut])]

    assert accepted == []
    assert shorter == []
    assert is_refused(made.content + b"\0")
    assert is_refused(b"\0" + made.content)


@pytest.mark.slow
def test_each_byte_of_the_zip_files_own_is_kept(made: Made) -> None:
    """All headers, the directory and its end: a file that says the same in another way is refused."""
    inside = [range(start, end) for start, end in data(made.content)]
    outside = [at for at in range(len(made.content)) if not any(at in each for each in inside)]

    assert [at for at in outside if not is_refused(flipped(made.content, at))] == []


def flipped(content: bytes, at: int) -> bytes:
    """The file with one bit of it changed."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def data(content: bytes) -> list[tuple[int, int]]:
    """Where each member's bytes begin and end."""
    found = zipfile.ZipFile(io.BytesIO(content)).infolist()
    starts = [each.header_offset + 30 + len(each.filename) for each in found]
    return [(start, start + each.file_size) for start, each in zip(starts, found, strict=True)]


def places(content: bytes) -> list[int]:
    """Some bytes of each member and of its header, and the end of the directory."""
    parts = data(content)
    inside = [at for start, end in parts for at in {start, (start + end) // 2, max(start, end - 1)}]
    headers = [start - offset for start, _ in parts for offset in (1, 20)]
    return [
        *inside,
        *headers,
        *range(parts[0][0] - 30 - len("contents.json"), parts[0][0]),
        *range(len(content) - 22, len(content)),
    ]


def repacked(files: Mapping[str, bytes]) -> bytes:
    """The file of these members, whatever they are."""
    return members.pack(files)


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files | {"notes.txt": b"see there"},
        lambda files: files | {"../outside": b"x"},
        lambda files: files | {"/etc/passwd": b"x"},
        lambda files: {name: text for name, text in files.items() if name != "attestation.json"},
        lambda files: {name: text for name, text in files.items() if name != "attestation.tsr"},
        lambda files: {name: text for name, text in files.items() if not name.startswith("lines/")},
        lambda files: files | {"index.html": b"trust this"},
        lambda files: files | {"lines/00000001.json": b"{}"},
        lambda files: files | {"contents.json": b"{}"},
        lambda files: files | {"keys.json": b"[]"},
        lambda files: files | {"receipt.json": b"[" * 100_000},
        lambda files: {},
    ],
)
def test_other_members_are_refused(made: Made, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    """Added, taken away or replaced, in a file that is packed as Lethe packs it."""
    assert not is_refused(repacked(made.files))
    assert is_refused(repacked(change(made.files)))


def test_a_hostile_file_is_refused_before_it_is_unpacked(made: Made, tmp_path: Path) -> None:
    """A bomb, a member twice, a name that leads out of the folder, one that is no zip, one that is too large."""
    bomb, twice = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        for name in members.NEEDED:
            file.writestr(name, b"\0" * 10_000_000)
    with zipfile.ZipFile(twice, "w") as file:
        file.writestr("receipt.json", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("receipt.json", b"2")
    sparse = tmp_path / "large.zip"
    with sparse.open("wb") as large:
        large.truncate(members.LARGEST_FILE + 5)

    reasons = []
    for content in (bomb.getvalue(), twice.getvalue(), b"PK", b""):
        with pytest.raises(members.InvalidBundle) as refused:
            verification.verify(content)
        reasons.append(refused.value.title)
    shown = lethe(None, "evidence", "verify", str(sparse))

    assert "packed in another way" in reasons[0]
    assert "one of them twice" in reasons[1]
    assert (shown.returncode, "more than" in shown.stderr) == (1, True)


def forged(
    files: Mapping[str, bytes], key: Ed25519PrivateKey, others: Mapping[str, Mapping[str, object]] | None = None
) -> bytes:
    """All of it signed anew with another key; without stamps, which cannot be had for it."""
    mine = signing.as_jwk(key.public_key())
    made = {
        name: text for name, text in files.items() if not name.startswith(("keys", "authority")) and ".tsr" not in name
    }
    made = {name: text for name, text in made.items() if "stamped" not in name}

    def sign(name: str, member: str, **changes: object) -> None:
        said = json.loads(made[name])[member] | changes | dict((others or {}).get(name, {}))
        made[name] = signing.sign({member: said}, key).encode()

    sign("receipt.json", "receipt", requestedBy={"role": "nobody", "keyId": None})
    sign("attestation.json", "attestation", receipt={"sha256": sha256(made["receipt.json"]).hexdigest()})
    sign("head.json", "auditHead")
    made["keys.json"] = json.dumps({"keys": [mine]}).encode()
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    made[f"keys/{mine['kid']}.pem"] = pem
    listed = {name: sha256(text).hexdigest() for name, text in made.items() if name != "contents.json"}
    sign("contents.json", "evidence", members=listed)
    return repacked(made)


def test_a_forger_with_a_key_of_his_own_is_seen(made: Made) -> None:
    """The file fits together: only the key tells that it is not the operator's, and no authority has stamped it."""
    key = Ed25519PrivateKey.generate()
    operators = list(signing.read_key_set(made.files["keys.json"]))
    forgery = forged(made.files, key)

    proved = verification.verify(forgery)

    assert (proved.key_ids, proved.stamps) == ((signing.as_jwk(key.public_key())["kid"],), {})
    assert verification.verify(made.content, keys=operators)
    with pytest.raises(members.InvalidBundle, match="none of those that you trust"):
        verification.verify(forgery, keys=operators)


@pytest.mark.parametrize(
    "others",
    [
        {"head.json": {"seq": "x"}},
        {"attestation.json": {"found": "x"}},
        {"attestation.json": {"findings": None}},
        {"receipt.json": {"auditLine": {"seq": "x\rValid", "hash": "x"}}},
        {"receipt.json": {"finishedAt": "x\rValid"}},
    ],
)
def test_a_forger_steers_no_terminal(made: Made, tmp_path: Path, others: dict[str, dict[str, object]]) -> None:
    """What is signed with any key may say anything: one sentence, and no control character."""
    (tmp_path / "it.zip").write_bytes(forged(made.files, Ed25519PrivateKey.generate(), others))

    shown = lethe(None, "evidence", "verify", str(tmp_path / "it.zip"))

    assert shown.returncode == (0 if "finishedAt" in str(others) else 1)
    assert ("Traceback" in shown.stderr, "x\nValid" in shown.stdout + shown.stderr) == (False, False)


def test_it_names_nobody_and_shows_no_other_line(made: Made) -> None:
    """The name is in the receipt alone; of other deletions there are hashes; a caller's address is in its own lines."""
    with_name = [name for name, text in made.files.items() if b"5511987650008" in text]
    subjects = [json.loads(text) for name, text in made.files.items() if re.fullmatch(r"lines/\d+\.json", name)]

    assert with_name == ["receipt.json"]
    assert {each["instance_id"] for each in subjects} == {made.instance_id}
    assert [each["address"] for each in subjects] == [None, ADDRESS, None]


def test_who_may_not_read_the_audit_gets_no_callers(system: System, services: Services, made: Made) -> None:
    """An instance's own token reads its receipt, and lines of workers; an auditor reads all."""
    instance = seed_instance(system.deployment, "with a token", messages=1)
    ordered = system.call("POST", "/deletions", key=instance.token, json={"instanceId": instance.id}).json()["id"]
    run_all(services, UUID(ordered))
    auditor = make_key(services, Role.AUDITOR).key

    own, all_of_it = (
        verification.verify(system.call("GET", f"/deletions/{ordered}/evidence", key=key).content)
        for key in (instance.token, auditor)
    )
    lines = {
        key: members.unpack(system.call("GET", f"/deletions/{ordered}/evidence", key=key).content)
        for key in (instance.token, auditor)
    }

    assert (own.lines_of, all_of_it.lines_of) == ("worker", "all")
    assert all_of_it.lines > own.lines
    seen = [text for name, text in lines[instance.token].items() if re.fullmatch(r"lines/\d+\.json", name)]
    assert seen
    assert all(b'"role":"worker"' in text and b"127.0.0.1" not in text for text in seen)


def test_who_may_not_read_receipts_gets_nothing(system: System, services: Services, made: Made) -> None:
    """The documented 401, for a deletion that exists and one that does not; before the success it is 409."""
    queued = accept(services, seed_instance(system.deployment, "queued", messages=1).id, "queued")
    other = seed_instance(system.deployment, "evidence other", messages=1)
    keys = (other.token, make_key(services, Role.VIEWER).key, "wrong")

    answers = [
        system.send("GET", f"/deletions/{which}/evidence", key=key)
        for which in (made.deletion_id, uuid4())
        for key in keys
    ]
    early = system.call("GET", f"/deletions/{queued}/evidence")
    with services.own.connect() as connection:
        query = "SELECT decision FROM audit WHERE action = 'evidence' AND deletion_id = %s"
        audited = set(connection.exec_driver_sql(query, (made.deletion_id,)).scalars())

    assert {(each.status, each.text) for each in answers} == {(401, '{"error":true,"message":"Unauthorized"}')}
    assert early.status_code == 409
    assert audited == {"refused"}


def test_it_is_saved_from_the_console_and_on_the_server(
    system: System, services: Services, made: Made, tmp_path: Path
) -> None:
    """The id alone is enough; a missing receipt and a folder that does not exist are one sentence."""
    visitor = signed_in(system)
    page = visitor.get(f"/deletions/{made.deletion_id}").text
    saved = visitor.get(f"/deletions/{made.deletion_id}/evidence")
    written = lethe(system, "evidence", str(made.deletion_id), "--out", str(tmp_path / "it.zip"))
    missing = lethe(system, "evidence", str(uuid4()), "--out", str(tmp_path / "none.zip"))
    nowhere = lethe(system, "evidence", str(made.deletion_id), "--out", str(tmp_path / "no/where.zip"))

    assert 'id="evidence"' in page
    assert verification.verify(saved.content).deletion_id == str(made.deletion_id)
    assert f"evidence-{made.deletion_id}.zip" in saved.headers["Content-Disposition"]
    assert (written.returncode, is_refused((tmp_path / "it.zip").read_bytes())) == (0, False)
    assert [(each.returncode, "Traceback" in each.stderr) for each in (missing, nowhere)] == [(1, False)] * 2


def test_the_line_that_the_receipt_names_is_never_left_out(
    system: System, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many lines are before it."""
    instance = seed_instance(system.deployment, "previewed", messages=1)
    with own_transaction(services.own) as connection:
        chain.append(connection, Entry(Action.PREVIEW, Decision.ACCEPTED, Actor("admin"), instance.id))
    deletion_id = accept(services, instance.id, "previewed")
    run_all(services, deletion_id)
    monkeypatch.setattr(bundle, "_MOST_LINES", 1)

    content = bundle.compose(services.own, services.settings, deletion_id, with_callers=True)

    assert verification.verify(content).lines == 1
    assert json.loads(members.unpack(content)[members.CONTENTS])["evidence"]["linesLeftOut"] is True


def test_a_line_that_was_changed_is_no_evidence(system: System, services: Services, made: Made) -> None:
    """It is not given out: nobody could verify it."""

    def change(before: str, after: str) -> None:
        with services.own.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            query = "UPDATE audit SET reason = %s WHERE action = 'attest' AND deletion_id = %s AND reason = %s"
            assert connection.exec_driver_sql(query, (after, made.deletion_id, before)).rowcount == 1

    change("nothing found", "never looked")
    answer = system.call("GET", f"/deletions/{made.deletion_id}/evidence")
    change("never looked", "nothing found")

    assert answer.status_code == 409
    assert "lethe audit verify" in answer.json()["message"]


def test_an_audit_that_is_not_what_was_stamped_is_no_evidence(system: System, services: Services, made: Made) -> None:
    """A line that was changed since is found by the stamped head."""
    with services.own.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("UPDATE audit SET hash = repeat('0', 64) WHERE seq = 1")
    answer = system.call("GET", f"/deletions/{made.deletion_id}/evidence")

    assert answer.status_code == 409
    assert "lethe audit verify" in answer.json()["message"]


def test_its_roots_are_those_of_the_reader(made: Made, authority: Authority) -> None:
    """The authority's root, without the certificates of the file."""
    proved = verification.verify(made.content, roots=token.read_roots(authority.root))

    assert proved.stamps["receipt.json"].authority == "CN=Authority of tests"
