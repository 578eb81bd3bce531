"""Topics that Evolution named after an instance go with it, and no neighbour's."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError
from pydantic import SecretStr
from sqlalchemy.orm import Session

from demo.evolution.seed import seed_instance
from demo.ports import server_port
from shared import certificates
from shared.database.models import Deletion, Step
from shared.errors import Refused, RefusedByServer, RequirementNotMet, Unreachable
from shared.evolution.queues import kafka
from shared.evolution.queues.kafka import Kafka
from shared.evolution.queues.queues import Removed
from shared.faults.sentences import advice_for
from shared.receipts import receipt
from tests.integration.inline import accept, run_all, run_steps, run_to_end
from tests.integration.tls import Authority
from tests.kafka import KafkaPart, refusing
from tests.system import System

EVENTS = ("messages.upsert", "connection.update", "group-participants.update")
FORBIDDEN, DISABLED = KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.TOPIC_DELETION_DISABLED


def nobody() -> list[str]:
    """No other instance lives."""
    return []


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaPart]:
    """A broker without topics."""
    part = KafkaPart.start(tmp_path)
    yield part
    part.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """librdkafka tries again until the time is over."""
    monkeypatch.setattr(kafka, "_ANSWER_SECONDS", 1)
    monkeypatch.setattr(kafka, "_DELETION_SECONDS", 0)


def topics_of(*names: str) -> set[str]:
    """What a server makes for these."""
    return {f"evolution.{name}.{event}" for name in names for event in EVENTS}


def test_the_topics_of_a_name_go_by_their_exact_names(broker: KafkaPart) -> None:
    """Neither a neighbour's, nor those of all, nor another prefix's; a second time there is nothing to do."""
    neighbours = ["a.b", "A", "ab", "a_b", "b"]
    others = topics_of(*neighbours, "global") | {"evolution.a.orders", "other.a.call", "evolution.a", "a.call"}
    broker.make(*topics_of("a"), *others)
    topics = Kafka(broker.url, "evolution", None)

    counted = topics.count_named("a", lambda: neighbours)
    taken = [topics.remove_named("a", lambda: neighbours) for _ in range(2)]

    assert counted == {"topics": 3}
    assert taken == [Removed({"topics": 3}, 0), Removed({"topics": 0}, 0)]
    assert broker.topics() == others


def test_an_instance_with_a_dot_in_its_name_leaves_the_one_that_its_name_begins_with(broker: KafkaPart) -> None:
    """`a.b` beside `a`, with the prefix that the deployment has."""
    broker.make("acme.wa.a.b.call", "acme.wa.a.call")

    taken = Kafka(broker.url, "acme.wa", None).remove_named("a.b", lambda: ["a"])

    assert taken == Removed({"topics": 1}, 0)
    assert broker.topics() == {"acme.wa.a.call"}


def test_what_can_belong_to_another_instance_or_to_all_stays_and_is_counted(broker: KafkaPart) -> None:
    """An instance called global, and a name that two have."""
    broker.make(*topics_of("global", "twice"))
    topics = Kafka(broker.url, "evolution", None)

    taken = [topics.remove_named(name, lambda: ["twice"]) for name in ("global", "twice")]

    assert taken == [Removed({"topics": 0}, 3)] * 2
    assert broker.topics() == topics_of("global", "twice")


@pytest.mark.parametrize("name", ["", "a b", "á", "a*", "n" * 250, "none"])
def test_a_name_without_topics_makes_none(broker: KafkaPart, name: str) -> None:
    """Kafka takes no topic of the first ones; looking for one must not make it."""
    broker.make("evolution.a.call")
    topics = Kafka(broker.url, "evolution", None)

    topics.rehearse(name)

    assert topics.count_named(name, nobody) == {"topics": 0}
    assert topics.remove_named(name, nobody) == Removed({"topics": 0}, 0)
    assert broker.topics() == {"evolution.a.call"}


def test_a_rehearsal_removes_nothing(broker: KafkaPart) -> None:
    """It deletes a topic that does not exist."""
    broker.make(*topics_of("a"))

    Kafka(broker.url, "evolution", None).rehearse("a")

    assert broker.topics() == topics_of("a")


@pytest.mark.parametrize(
    ("code", "says", "helps"),
    [
        (FORBIDDEN, "Topic authorization failed", "Describe and Delete"),
        (DISABLED, "Topic deletion is disabled", "delete.topic.enable"),
    ],
)
def test_brokers_that_delete_no_topics_are_noticed(
    tmp_path: Path, impatient: None, code: int, says: str, helps: str
) -> None:
    """Before anything is removed, in Kafka's own words; here a relay says what Kafka would."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        broker = KafkaPart.start(tmp_path, advertised=port)
        with refusing(listening, broker.port, code):
            topics = Kafka(f"kafka://127.0.0.1:{port}", "evolution", None)
            with pytest.raises(RequirementNotMet, match=rf"Kafka does not let .*{says} \(Kafka \w+\)") as noticed:
                topics.rehearse("a")
        broker.stop()

    advice = advice_for(noticed.value.title)
    assert advice is not None
    assert helps in advice.hint


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_kafka_that_is_away_is_waited_for() -> None:
    """In librdkafka's own words."""
    with pytest.raises(Unreachable, match=r"Kafka cannot be reached: .*Connection refused \(Kafka _TRANSPORT\)$"):
        Kafka(f"kafka://127.0.0.1:{server_port()}", "evolution", None).probe()


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_login_that_is_wrong_is_refused_in_kafkas_words(tmp_path: Path) -> None:
    """Not waited for: it would stay wrong. The password is not repeated."""
    broker = KafkaPart.start(tmp_path, login=True)
    url = f"kafka://lethe:hunter2@127.0.0.1:{broker.port}?mechanism=scram-sha-256"

    with pytest.raises(RefusedByServer, match=r"unknown-user \(Kafka _AUTHENTICATION\)$") as refused:
        Kafka(url, "evolution", None).probe()
    broker.stop()

    advice = advice_for(refused.value.title)
    assert "hunter2" not in refused.value.title
    assert advice is not None
    assert "LETHE_KAFKA_URL" in advice.hint


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_tls_trusts_the_private_authority_alone(tmp_path: Path) -> None:
    """LETHE_CA_FILE names it; without it, the broker is not trusted, unless the URL says so."""
    authority, port = Authority(tmp_path), server_port()
    with authority.before(f"kafka://127.0.0.1:{port}") as place:
        broker = KafkaPart.start(tmp_path, port=port, advertised=int(place.rpartition(":")[2]))
        Kafka(f"kafka+ssl://{place}", "evolution", certificates.bundle(authority.file)).probe()
        Kafka(f"kafka+ssl://{place}?verify=false", "evolution", None).probe()
        with pytest.raises(Unreachable, match="certificate verify failed"):
            Kafka(f"kafka+ssl://{place}", "evolution", None).probe()
        broker.stop()


def test_a_file_of_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    """When the first client is made."""
    (tmp_path / "none.pem").write_text("none")

    with pytest.raises(Refused, match="Kafka"):
        Kafka("kafka+ssl://h", "evolution", str(tmp_path / "none.pem")).probe()


def test_a_deletion_counts_and_removes_topics(make_system: Callable[..., System], broker: KafkaPart) -> None:
    """In the preview and in the step, and the neighbour's are all there afterwards; the receipt knows of no rest."""
    system = make_system()
    broker.make(*topics_of("a", "a.b"))
    instance = seed_instance(system.deployment, "a", messages=2)
    seed_instance(system.deployment, "a.b", messages=2)
    services = system.make_services(kafka_url=SecretStr(broker.url))

    deletion_id = accept(services, instance.id, "a")
    run_all(services, deletion_id)
    with Session(services.own) as session:
        step = session.get_one(Step, (deletion_id, "deregister"))
        planned, removed = step.planned, step.removed
    document = receipt.load(services.own, deletion_id)
    services.close()

    assert planned is not None
    assert document is not None
    assert (planned["topics"], removed["topics"]) == (3, 3)
    assert not [each for each in json.loads(document)["receipt"]["notCovered"] if "Kafka" in each]
    assert broker.topics() == topics_of("a.b")


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_deletion_waits_for_a_kafka_that_is_away(make_system: Callable[..., System], broker: KafkaPart) -> None:
    """Nothing is begun before it answers."""
    system = make_system()
    broker.make(*topics_of("late"))
    instance = seed_instance(system.deployment, "late", messages=2)
    away = system.make_services(kafka_url=SecretStr(f"kafka://127.0.0.1:{server_port()}"))
    services = system.make_services(kafka_url=SecretStr(broker.url))
    deletion_id = accept(services, instance.id, "late")

    run_steps(away, deletion_id, "logout")
    with Session(services.own) as session:
        before = session.get_one(Deletion, deletion_id).status
    run_to_end(services, deletion_id)
    with Session(services.own) as session:
        ended = session.get_one(Deletion, deletion_id).status
    services.close()
    away.close()

    assert (before, ended) == ("waiting", "succeeded")
    assert broker.topics() == set()
