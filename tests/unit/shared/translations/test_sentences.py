"""Sentences that are stored and answered in English, as a reader of Portuguese sees them."""

from collections.abc import Iterator

import pytest

from shared.errors import Unreachable
from shared.faults.kinds import Server
from shared.faults.sentences import translated as fault
from shared.translations import language
from shared.translations.sentences import translated


@pytest.fixture
def _in_portuguese() -> Iterator[None]:
    with language.only_here(language.PORTUGUESE):
        yield


@pytest.mark.usefixtures("_in_portuguese")
@pytest.mark.parametrize(
    ("english", "portuguese"),
    [
        ("There is no such instance", "Essa instância não existe"),
        ('The "shop" instance does not exist', 'A instância "shop" não existe'),
        # A name is never translated, also when it reads like a text.
        ('The "the own database" instance does not exist', 'A instância "the own database" não existe'),
        (Unreachable("the own database", "no free connection").title,
         "o banco do próprio Lethe não responde: nenhuma conexão livre"),
        (fault("the cache", Server.REDIS, "OOM", "command not allowed").title,
         "o cache recusa por ora: command not allowed (Redis OOM)"),
        ("Raise maxmemory. See docs/operations/errors.md#redis-oom",
         "Aumente maxmemory. Veja docs/operations/errors.md#redis-oom"),
        ("1,200 rows of x, in another schema, refer to this instance's rows in \"Message\" (foreign key \"f\")",
         '1.200 linhas de x, em outro esquema, se referem às linhas desta instância em "Message"'
         ' (chave estrangeira "f")'),
        ("No more than 10 deletions per minute and key: try again in 30 s",
         "No máximo 10 por minuto e chave (exclusão): tente de novo em 30 s"),
        # What a list of names is answered.
        ('The "shop" instance is already being deleted', 'A instância "shop" já está sendo excluída'),
        ('The "shop" instance has a deletion already, which is scheduled, without an export',
         'A instância "shop" já tem uma exclusão, que está agendada, sem uma exportação'),
        ("left out: its state is open now", "ficou de fora: o estado dela agora é open"),
        ("only the first 12 of 1,000 instances were rehearsed",
         "só as primeiras 12 de 1.000 instâncias foram ensaiadas"),
        ("Words of a server that nobody has translated", "Words of a server that nobody has translated"),
        # Only one word of a short template is known: it is left as it is.
        ("Look here. See there if you like", "Look here. See there if you like"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_sentence_is_found_by_its_words(english: str, portuguese: str) -> None:
    """Its values stay, numbers and parts of sentences are translated too."""
    assert translated(english) == portuguese


def test_english_stays_as_it_is() -> None:
    """For a reader of English, and for what is stored."""
    assert translated("There is no such instance") == "There is no such instance"
