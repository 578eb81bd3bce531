"""Queues and exchanges that Evolution named after an instance go with it, and no neighbour's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

import boto3
import pytest
from kombu import Connection
from pydantic import SecretStr
from sqlalchemy.orm import Session

from demo.evolution.seed import seed_instance
from demo.ports import server_port
from shared.database.models import Deletion, Step
from shared.errors import RefusedByServer, RefusesForNow, RequirementNotMet, Unreachable
from shared.evolution.queues import rabbitmq
from shared.evolution.queues.queues import Removed
from shared.evolution.queues.rabbitmq import RabbitMQ
from shared.evolution.queues.sqs import Sqs
from shared.faults.sentences import advice_for
from shared.services import Services
from shared.settings import Settings
from tests.integration.inline import accept, run_all, run_steps, run_to_end
from tests.rabbitmq import RabbitMQPart
from tests.system import System

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

SHARED = frozenset({"evolution"})
EVENTS = ("messages.upsert", "connection.update", "group-participants.update")


def nobody() -> list[str]:
    """No other instance lives."""
    return []


@dataclass(frozen=True)
class Broker:
    """Evolution's RabbitMQ, seen from its side."""

    part: RabbitMQPart
    url: str

    def declare(self, name: str, kind: str = "topic") -> None:
        """As a server does when the instance has its first event; a message lies in each queue."""
        with Connection(self.url) as connection:
            channel = connection.default_channel
            channel.exchange_declare(name, kind, durable=True, auto_delete=False)
            for event in EVENTS:
                arguments = {"x-queue-type": "quorum"}
                channel.queue_declare(f"{name}.{event}", durable=True, auto_delete=False, arguments=arguments)
                channel.queue_bind(f"{name}.{event}", name, routing_key=event)
                channel.basic_publish(channel.prepare_message(b"{}"), exchange=name, routing_key=event)

    def names(self, kind: str) -> set[str]:
        """All queues, or all exchanges but RabbitMQ's own."""
        listed = self.part.ctl("-p", urlsplit(self.url).path[1:], f"list_{kind}", "name").splitlines()
        return {name for name in listed if name and name != "name" and not name.startswith("amq.")}


@pytest.fixture
def broker(rabbitmq_part: RabbitMQPart) -> Broker:
    """An empty virtual host."""
    return Broker(rabbitmq_part, rabbitmq_part.new_virtual_host())


def queues_of(*names: str) -> set[str]:
    """What a server declares for these."""
    return {f"{name}.{event}" for name in names for event in EVENTS}


@pytest.mark.parametrize("name", ["shop", "a\nb"], ids=["a name", "a name that RabbitMQ does not take"])
def test_a_user_who_may_not_delete_queues_is_noticed(broker: Broker, name: str) -> None:
    """Before anything is removed; with the right, nothing is, and nothing is made."""
    broker.declare("shop")
    before = broker.names("queues"), broker.names("exchanges")

    RabbitMQ(broker.url, SHARED).rehearse(name)
    broker.part.ctl("set_permissions", "-p", urlsplit(broker.url).path[1:], "guest", "^$", ".*", ".*")

    assert (broker.names("queues"), broker.names("exchanges")) == before
    with pytest.raises(RequirementNotMet, match="configure"):
        RabbitMQ(broker.url, SHARED).rehearse(name)


def test_a_user_who_may_not_remove_the_exchange_itself_is_noticed(broker: Broker) -> None:
    """A pattern may allow all names with the instance's and a dot at the beginning, and not the exchange's."""
    broker.declare("shop")
    broker.part.ctl("set_permissions", "-p", urlsplit(broker.url).path[1:], "guest", r"^shop\..*", ".*", ".*")

    with pytest.raises(RequirementNotMet, match=r"delete exchanges of the name.*AMQP ACCESS_REFUSED.*configure"):
        RabbitMQ(broker.url, SHARED).rehearse("shop")


@pytest.mark.parametrize("name", ["a", "long " * 45])
def test_the_exchange_and_the_queues_of_a_name_go(broker: Broker, name: str) -> None:
    """With their messages; a second time there is nothing to do. A long name leaves RabbitMQ few words of its own."""
    broker.declare(name)
    queues = RabbitMQ(broker.url, SHARED)

    counted = queues.count_named(name, nobody)
    taken = [queues.remove_named(name, nobody) for _ in range(2)]

    assert counted == {"queues": 3, "exchanges": 1}
    assert taken == [Removed(counted, 0), Removed({"queues": 0, "exchanges": 0}, 0)]
    assert broker.names("queues") | broker.names("exchanges") == set()


def test_names_that_are_a_prefix_or_look_alike_stay(broker: Broker) -> None:
    """Exact names only; a line break, which RabbitMQ drops, makes no name another one."""
    neighbours = ["a_b", "a.b", "A", "a*", "b"]
    for name in ("a", *neighbours):
        broker.declare(name)

    for name in ("a", "a\n", "", "amq.topic", "n" * 255):
        RabbitMQ(broker.url, SHARED).remove_named(name, lambda: neighbours)

    assert broker.names("exchanges") == set(neighbours)
    assert broker.names("queues") == queues_of(*neighbours)


def test_what_can_belong_to_another_instance_or_to_all_stays_and_is_counted(broker: Broker) -> None:
    """An exchange of all instances, one that is no topic (a Celery's, say), a name given twice."""
    broker.declare("evolution")
    broker.declare("lethe", "direct")
    broker.declare("twice")
    queues = RabbitMQ(broker.url, SHARED)

    taken = [queues.remove_named(name, lambda: ["twice"]) for name in ("evolution", "lethe", "twice")]

    assert [each.kept for each in taken] == [4, 1, 3]
    assert broker.names("exchanges") == {"evolution", "lethe"}
    assert broker.names("queues") == queues_of("evolution", "twice")


def test_an_exchange_that_has_gone_since_it_was_seen_is_not_made_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking at its kind declares nothing."""
    monkeypatch.setattr(rabbitmq, "_exists", lambda *_: True)

    counted = RabbitMQ(broker.url, SHARED).count_named("a", nobody)

    assert counted["exchanges"] == 0
    assert broker.names("exchanges") == set()


def test_a_rabbitmq_that_is_away_is_waited_for_and_one_that_refuses_is_named(broker: Broker) -> None:
    """In RabbitMQ's own words, with what helps."""
    with pytest.raises(Unreachable, match="RabbitMQ cannot be reached"):
        RabbitMQ(f"amqp://guest:guest@127.0.0.1:{server_port()}//", SHARED).probe()
    with pytest.raises(RefusedByServer, match=r"Login was refused .* \(AMQP ACCESS_REFUSED\)$") as refused:
        RabbitMQ(broker.url.replace("guest:guest", "guest:wrong"), SHARED).probe()
    with pytest.raises(RefusedByServer, match=r"vhost v\d+-unknown not found \(AMQP NOT_ALLOWED\)$"):
        RabbitMQ(f"{broker.url}-unknown", SHARED).probe()

    advice = advice_for(refused.value.title)
    assert advice is not None
    assert "LETHE_RABBITMQ_URL" in advice.hint
    assert advice.page == "docs/operations/errors.md#amqp-access_refused"


def test_a_rabbitmq_that_takes_no_more_connections_is_waited_for(broker: Broker) -> None:
    """The code is that of a virtual host that is not there; the words are not."""
    host = urlsplit(broker.url).path[1:]
    broker.part.ctl("set_vhost_limits", "-p", host, '{"max-connections": 0}')

    with pytest.raises(RefusesForNow, match=r"connection limit \(0\) is reached \(AMQP CONNECTION_LIMIT\)$"):
        RabbitMQ(broker.url, SHARED).probe()


def test_a_queue_that_cannot_be_looked_at_does_not_count_as_gone(broker: Broker) -> None:
    """RabbitMQ says NOT_FOUND of it as well; its name, which is the instance's, is not repeated."""
    with Connection(broker.url) as connection:
        connection.default_channel.queue_declare("shop.call", durable=True, auto_delete=False)
    host = urlsplit(broker.url).path[1:]
    stop = f'rabbit_amqqueue_sup_sup:stop_for_vhost(<<"{host}">>)'
    broker.part.ctl("eval", f'{stop}, rabbit_amqqueue:mark_local_durable_queues_stopped(<<"{host}">>).')

    with pytest.raises(RefusesForNow, match=r": queue in vhost .* \(AMQP UNAVAILABLE\)$"):
        RabbitMQ(broker.url, SHARED).count_named("shop", nobody)


@dataclass(frozen=True)
class Account:
    """Evolution's SQS, seen from its side."""

    client: "SQSClient"
    queues: Sqs

    def declare(self, *names: str) -> None:
        """Make queues."""
        for name in names:
            self.client.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if "." in name else {})

    def names(self) -> set[str]:
        """All queues."""
        return {url.rpartition("/")[2] for url in self.client.list_queues().get("QueueUrls", [])}


def on_sqs(settings: Settings, moto: str) -> Settings:
    """The same, with SQS."""
    keys = {"sqs_access_key": settings.s3_access_key, "sqs_secret_key": settings.s3_secret_key}
    return settings.model_copy(update={"sqs_region": "us-east-1", "sqs_endpoint": moto, **keys})


@pytest.fixture
def account(moto_part: str, make_system: Callable[..., System]) -> Iterator[Account]:
    """An account without queues."""
    client = boto3.client(
        "sqs", endpoint_url=moto_part, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    settings = on_sqs(make_system().settings, moto_part)
    yield Account(client, Sqs(settings, "us-east-1", SHARED))
    for url in client.list_queues().get("QueueUrls", []):
        client.delete_queue(QueueUrl=url)


def test_sqs_queues_go_by_their_exact_name(account: Account) -> None:
    """In every form of an event; not by prefix, not without .fifo, not of another event."""
    mine = ["a_messages_upsert.fifo", "a_group-participants_update.fifo", "a_singlequeue.fifo"]
    others = ["a_b_messages_upsert.fifo", "a_messages_upsert", "a_orders.fifo", "A_call.fifo", "ab_call.fifo"]
    account.declare(*mine, *others)

    counted = account.queues.count_named("a", lambda: ["a_b", "A", "ab"])
    taken = [account.queues.remove_named("a", lambda: ["a_b", "A", "ab"]) for _ in range(2)]

    assert counted == {"queues": 3}
    assert taken == [Removed({"queues": 3}, 0), Removed({"queues": 0}, 0)]
    assert account.names() == set(others)


def test_an_sqs_queue_that_two_names_explain_stays(account: Account) -> None:
    """x_remove_instance is of x, or of all instances with that prefix; a name with wildcards has none."""
    account.declare("evolution_call.fifo", "x_call.fifo")

    taken = [account.queues.remove_named(name, lambda: ["x"]) for name in ("evolution", "x", "*", "a b", "")]

    assert [each.kept for each in taken] == [1, 1, 0, 0, 0]
    assert account.names() == {"evolution_call.fifo", "x_call.fifo"}


def test_a_deletion_counts_and_removes_queues(make_system: Callable[..., System], broker: Broker) -> None:
    """In the preview and in the step, and the neighbour's are all there afterwards."""
    system = make_system()
    broker.declare("a")
    broker.declare("a_b")
    instance = seed_instance(system.deployment, "a", messages=2)
    seed_instance(system.deployment, "a_b", messages=2)
    services = services_on(system, broker.url)

    deletion_id = accept(services, instance.id, "a")
    run_all(services, deletion_id)
    step = read_step(services, deletion_id, "deregister")
    services.close()

    assert step.planned is not None
    for counts in (step.planned, step.removed):
        assert {kind: counts[kind] for kind in ("queues", "exchanges")} == {"queues": 3, "exchanges": 1}
    assert broker.names("exchanges") == {"a_b"}
    assert broker.names("queues") == queues_of("a_b")


def test_a_deletion_waits_for_a_rabbitmq_that_is_away(make_system: Callable[..., System], broker: Broker) -> None:
    """Nothing is begun before it answers; one that leaves half-way is waited for under the fence."""
    system = make_system()
    broker.declare("late")
    instance = seed_instance(system.deployment, "late", messages=2)
    away = services_on(system, f"amqp://127.0.0.1:{server_port()}//")
    services = services_on(system, broker.url)
    deletion_id = accept(services, instance.id, "late")

    run_steps(away, deletion_id, "logout")
    before = read(services, deletion_id)
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook")
    run_steps(away, deletion_id, "deregister")
    half_way = read(services, deletion_id)
    run_to_end(services, deletion_id)
    ended = read(services, deletion_id)
    services.close()
    away.close()

    assert (before.status, half_way.status) == ("waiting", "waiting")
    assert "RabbitMQ cannot be reached" in str(before.reason)
    assert "RabbitMQ cannot be reached" in str(half_way.reason)
    assert ended.status == "succeeded"
    assert broker.names("queues") == set()


def services_on(system: System, rabbitmq_url: str) -> Services:
    """Lethe's services, with that RabbitMQ."""
    return system.make_services(rabbitmq_url=SecretStr(rabbitmq_url))


def read(services: Services, deletion_id: UUID) -> Deletion:
    """The deletion as it stands."""
    with Session(services.own) as session:
        found = session.get_one(Deletion, deletion_id)
        session.expunge(found)
        return found


def read_step(services: Services, deletion_id: UUID, name: str) -> Step:
    """A step of it."""
    with Session(services.own) as session:
        found = session.get_one(Step, (deletion_id, name))
        session.expunge(found)
        return found
