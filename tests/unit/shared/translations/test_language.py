"""Which language a reader gets."""

import pytest

from shared.translations import language


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (["pt_BR.UTF-8"], "pt-BR"),
        (["pt"], "pt-BR"),
        (["pt-PT"], "pt-BR"),
        (["PT-br"], "pt-BR"),
        (["en_US.UTF-8"], "en"),
        (["C"], "en"),
        (["C.UTF-8"], "en"),
        (["POSIX"], "en"),
        (["de_DE", "pt"], "pt-BR"),
        (["de_DE.UTF-8"], None),
        (["ptx"], None),
        (["*"], None),
        ([None, ""], None),
        ([], None),
    ],
)
def test_the_first_known_code_counts(codes: list[str | None], expected: str | None) -> None:
    """Of a shell's locale or of a browser's list."""
    assert language.first_known(codes) == expected


def test_a_language_is_chosen_for_a_block_only() -> None:
    """Then the one before counts again."""
    with language.only_here(language.PORTUGUESE):
        inside = language.locale_name()

    assert (inside, language.current()) == ("pt_BR", language.ENGLISH)
