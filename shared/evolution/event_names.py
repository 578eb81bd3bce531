"""Evolution's events, and how they are spelled in names of queues and files."""

import re

EVENTS = """
application.startup qrcode.updated messages.set messages.upsert messages.edited messages.update messages.delete
send.message send.message.update contacts.set contacts.upsert contacts.update presence.update chats.set chats.upsert
chats.update chats.delete groups.upsert group.update groups.update group-participants.update connection.update
labels.edit labels.association call typebot.start typebot.change-status instance.create instance.delete
remove.instance logout.instance status.instance singlequeue
""".split()  # noqa: SIM905 - a list of quoted words would be three times as long
EVENT_FORMS = frozenset(
    form for event in EVENTS for form in (event, event.replace(".", "_", 1), re.sub("[.-]", "_", event))
)
DOTTED_FORMS = frozenset(form for event in EVENTS for form in (event, event.replace("-", ".")))
