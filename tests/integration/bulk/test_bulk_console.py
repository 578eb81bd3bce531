"""A selection of instances in the console: several pages of the list, one preview, their number typed, one progress."""

import re

import pytest
import requests

from demo.evolution.seed import seed_instance
from shared.database.enums import Role
from shared.services import Services
from tests.integration.console.visitor import Visitor, signed_in
from tests.integration.keyring import make_key
from tests.system import System

pytestmark = pytest.mark.system("web", confirmation="token")


def send(visitor: Visitor, path: str, ids: list[str], **fields: str) -> requests.Response:
    """Send a form with these instances."""
    data = [("csrf_token", visitor.token("/deletions")), *fields.items(), *(("chosen", each) for each in ids)]
    url = f"{visitor.system.url}/console{path}"
    return visitor.session.post(url, data=data, timeout=30, allow_redirects=False)


def hidden(page: str, name: str) -> str:
    """The value of a field that the page's form carries."""
    (found,) = set(re.findall(rf'name="{name}" value="([^"]*)"', page))
    return str(found)


def count(services: Services) -> int:
    """How many deletions there are."""
    with services.own.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM deletions").scalar_one())


def test_a_selection_is_deleted_after_its_number_was_typed(system: System, services: Services) -> None:
    """Chosen on several pages of the list; a wrong number, a missing token and another selection delete nothing."""
    ids = [seed_instance(system.deployment, f"pick <{number}>", messages=1).id for number in range(27)]
    system.gateways[0].load()
    visitor = signed_in(system)
    wanted = [ids[0], ids[1], ids[9]]  # the last one is on the second page

    listed = send(visitor, "/", [ids[9]]).text
    nothing = send(visitor, "/selection", [])
    preview = send(visitor, "/selection", wanted).text
    form = {"digest": hidden(preview, "digest"), "confirmation_token": hidden(preview, "confirmation_token")}
    mistyped = send(visitor, "/selection/delete", wanted, typed="4", **form)
    refused = [
        send(visitor, "/selection/delete", wanted, typed="3", digest=form["digest"]),
        send(visitor, "/selection/delete", ids[:3], typed="3", **form),
    ]
    before = count(services)
    ordered = send(visitor, "/selection/delete", wanted, typed="3", **form)
    path = ordered.headers["Location"].removeprefix("/console")
    progress, filtered = visitor.get(path).text, visitor.get(f"/deletions?bulk={path.split('/')[2]}").text
    again = send(visitor, "/selection/delete", [*wanted, ids[2]], typed="1")

    assert listed.count('type="checkbox"') == 25
    assert f'type="hidden" name="chosen" value="{ids[9]}"' in listed
    assert (nothing.status_code, nothing.headers["Location"]) == (303, "/console/")
    assert all(text in preview for text in ("pick &lt;9&gt;", "Type <kbd>3</kbd>", "Delete 3 instances"))
    assert (mistyped.status_code, "not the number" in mistyped.text) == (400, True)
    assert ([each.status_code for each in refused], before) == ([428, 428], 0)
    assert ordered.status_code == 303
    assert "0 of 3 have ended." in progress
    assert filtered.count("pick &lt;") == 3
    assert again.status_code == 428
    assert count(services) == 3


def test_who_may_not_delete_selects_nothing(system: System, services: Services) -> None:
    """No boxes for a viewer; a limited key sees neither other instances nor other orders."""
    mine, other = (seed_instance(system.deployment, name, messages=1) for name in ("pick mine", "pick other"))
    system.gateways[0].load()
    viewer = signed_in(system, make_key(services, Role.VIEWER).key)
    limited = signed_in(system, make_key(services, Role.ADMIN, instances=[mine.name]).key)
    admin = signed_in(system)
    shown = send(admin, "/selection", [other.id]).text
    form = {"digest": hidden(shown, "digest"), "confirmation_token": hidden(shown, "confirmation_token")}
    order = send(admin, "/selection/delete", [other.id], typed="1", **form).headers["Location"].removeprefix("/console")

    boxes = viewer.get("/").text.count('type="checkbox"')
    refused = [send(viewer, path, [mine.id]).status_code for path in ("/selection", "/selection/delete")]
    preview = send(limited, "/selection", [mine.id, other.id]).text
    foreign = [limited.get(order).status_code, limited.get("/orders/3f0c0000-0000-4000-8000-000000000000").status_code]

    assert (boxes, refused, foreign) == (0, [401, 401], [401, 401])
    assert "Type <kbd>1</kbd>" in preview
    assert "pick other" not in preview
