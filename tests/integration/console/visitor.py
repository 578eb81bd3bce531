"""A client of the console without a browser: forms, cookies and redirects, no script."""

import re
from dataclasses import dataclass, field

import requests

from tests.system import ADMIN_KEY, System


@dataclass
class Visitor:
    """A browser that only knows forms."""

    system: System
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, **options: object) -> requests.Response:
        """Load a page of the console."""
        return self.session.get(f"{self.system.url}/console{path}", timeout=30, **options)  # type: ignore[arg-type]

    def post(self, path: str, *, seen_on: str = "/deletions", **fields: str) -> requests.Response:
        """Send a form with the token that another page of the session has shown."""
        return self.send(path, csrf_token=self.token(seen_on), **fields)

    def send(self, path: str, **fields: str) -> requests.Response:
        """Send a form as it is; redirects are not followed."""
        url = f"{self.system.url}/console{path}"
        return self.session.post(url, data=fields, timeout=30, allow_redirects=False)

    def token(self, path: str) -> str:
        """The token that a page's forms carry."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(path).text)
        assert found
        return found[1]

    def sign_in(self, key: str = ADMIN_KEY) -> requests.Response:
        """With a key, by the form."""
        return self.post("/sign-in", seen_on="/sign-in", key=key)


def signed_in(system: System, key: str = ADMIN_KEY) -> Visitor:
    """A visitor who has signed in."""
    visitor = Visitor(system)
    answer = visitor.sign_in(key)
    assert answer.status_code == 303, answer.text
    return visitor
