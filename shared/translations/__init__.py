"""Texts for people in English and Brazilian Portuguese. Everything may import it, and it imports nothing of Lethe.

How to write a text that a person reads, in cli and api/console (the English text is the key of the catalogue):

    from shared.translations.texts import _, ngettext

    stop(_("There is no such key, or it is already revoked"))
    click.echo(_("{name!r} is logged out", name=name))  # never an f-string: the catalogue has the text with the braces
    ngettext("{n:,} name", "{n:,} names", n, n=n)  # `:,` separates thousands as the reader's language does

- Help of commands and options (docstrings, help="..."): nothing to do, they are collected from the commands.
- Templates of the console: {{ _("Sign out") }}, {{ _("Give up %(url)s", url=url) }}, {% trans %}...{% endtrans %}.
- A sentence that is made in shared, tasks, worker or api (an error's message, a reason, a finding) stays in English,
  for it is stored, logged and answered by the API. The page or command that shows it translates it:
  `sentences.translated(text)`. Arguments of errors are collected by themselves, also f-strings; mark any other such
  sentence with marks.N_: N_(f"{table} has no index").
- Never translated: JSON, logs, what is stored or signed, names of steps, statuses and settings, what people type.

`make translations` collects all texts into locale/pt_BR/LC_MESSAGES/lethe.po; fill in each empty msgstr and run it
again. After a conflict in lethe.mo, take either one and run it.
docs/pt-BR/glossary.md has the words to use.
"""
