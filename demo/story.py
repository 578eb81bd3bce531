"""What the demo does and says, part by part."""

import json
import shlex
import time
from contextlib import ExitStack
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from demo import comparison, interrupts, progress, stage
from demo.comparison import Picture
from demo.evolution.deployment import Deployment, SeededInstance
from demo.evolution.seed import seed_global, seed_instance
from demo.lethe import Lethe
from demo.stage import Outside

SMALL, BIG = "shop", "acme"
DELETED = (SMALL, BIG)
DOCUMENTED = {"status": "SUCCESS", "error": False, "response": {"message": "Instance deleted"}}
# Chosen to collide: a suffix, a pattern, and the name in the middle of a key.
NEIGHBOURS = ("acme_2", "acme*", "ac:acme")


class Failed(Exception):
    """Something is not as it should be; the message says what."""


class Story:
    """One run, on one stack of things to be stopped."""

    def __init__(self, console: Console, stack: ExitStack) -> None:
        self._console = console
        self._stack = stack
        self._began = time.monotonic()
        self._faults: list[str] = []

    def tell(self, *, keep: bool) -> None:
        """Run it all; Failed names each thing that is not as it should be."""
        folder = stage.make_folder(self._stack)
        self._head("A deployment of Evolution, made up")
        stores = stage.start_stores(self._stack, folder)
        self._say(f"Redis, PostgreSQL and S3 run in {folder}")
        outside = stage.start_outside(self._stack, stores)
        lethe = stage.start_lethe(self._stack, folder, stores, outside)
        instances = self._seed(stores.deployment, outside)
        lethe.wait_until_ready()
        self._say(f"Lethe is up: {', '.join(lethe.processes)}", f"({time.monotonic() - self._began:.1f} s so far)")
        self._delete(lethe, outside, stores.deployment, instances)
        if keep:
            self._keep(lethe, outside)
        if self._faults:
            raise Failed(f"{len(self._faults)} of the things above are not as they should be")

    def _seed(self, deployment: Deployment, outside: Outside) -> list[SeededInstance]:
        seed_global(deployment)
        instances = []
        for name in (*DELETED, *NEIGHBOURS):
            messages, media, few = (20_000, 200, 200) if name == BIG else (300, 10, 20)
            seeded = seed_instance(
                deployment,
                name,
                messages=messages,
                media=media,
                chats=few,
                contacts=few,
                webhook_url=f"{outside.receiver.url}/hooks/{quote(name, safe='')}",
            )
            instances.append(seeded)
            totals = comparison.count(deployment, seeded)
            self._say(f"{name:8}", ", ".join(f"{number:,} {store}" for store, number in totals.items()))
            interrupts.check()
        outside.gateway.load()
        return instances

    def _delete(self, lethe: Lethe, outside: Outside, deployment: Deployment, instances: list[SeededInstance]) -> None:
        before = comparison.take(deployment, instances)
        owned = {it.name: comparison.owned_by(deployment, it) for it in instances}
        self._order_and_wait(lethe)
        deletion_seconds = self._follow(lethe, self._order(lethe))
        self._compare(owned, before, comparison.take(deployment, instances))
        self._show_outside(outside)
        self._order_again(lethe)
        all_seconds = time.monotonic() - self._began
        self._console.print(
            f"\nThe deletion of {BIG} took {deletion_seconds:.1f} s, all of it {all_seconds:.1f} s.", style="bold"
        )
        for fault in self._faults:
            self._console.print(f"  ✗ {fault}", style="red", markup=False, soft_wrap=True)

    def _order_and_wait(self, lethe: Lethe) -> None:
        """Send the call for the small instance, which answers when the instance is gone."""
        lethe.check()
        self._head(f"The call for a small instance: delete {SMALL}")
        self._paste(_curl(lethe, "DELETE", _path(SMALL)))
        began = time.monotonic()
        answer = lethe.call("DELETE", _path(SMALL))
        self._say(str(answer.status_code), answer.text.strip(), f"(after {time.monotonic() - began:.2f} s)")
        if answer.status_code != 200 or answer.json() != DOCUMENTED:
            raise Failed(f"200 and {json.dumps(DOCUMENTED)} were to be expected\n{lethe.processes['worker'].tail()}")

    def _order(self, lethe: Lethe) -> str:
        """Send the call for the big instance, which answers at once; the deletion's id."""
        self._head(f"The call for a big one: delete {BIG}")
        self._say("With respond-async the API answers at once, so that there is something to watch.")
        self._paste(_curl(lethe, "DELETE", _path(BIG), "Prefer: respond-async"))
        answer = lethe.call("DELETE", _path(BIG), Prefer="respond-async")
        self._say(str(answer.status_code), answer.text.strip())
        if answer.status_code != 202:
            raise Failed(f"202 was to be expected, not {answer.status_code}\n{lethe.processes['web'].tail()}")
        deletion_id: str = answer.json()["response"]["deletionId"]
        return deletion_id

    def _order_again(self, lethe: Lethe) -> None:
        self._head("The same call once more")
        answer = lethe.call("DELETE", _path(BIG))
        self._say(str(answer.status_code), answer.text.strip())
        if answer.status_code != 400:
            self._faults.append(f"the second call was answered {answer.status_code}, not 400")

    def _follow(self, lethe: Lethe, deletion_id: str) -> float:
        """Watch the deletion to its end; the seconds from its acceptance on."""

        def look() -> progress.View:
            lethe.check()
            view: progress.View = lethe.call("GET", f"/deletions/{deletion_id}").json()
            return view

        self._head("The seven steps")
        view = progress.follow(self._console, look)
        if view["status"] != "succeeded":
            why = f"the deletion {view['status']} in {view['failedStep']}: {view['reason']}"
            raise Failed(f"{why}\n{lethe.processes['worker'].tail()}")
        return progress.seconds_of({**view, "startedAt": view["acceptedAt"]})

    def _compare(self, owned: dict[str, comparison.Digests], before: Picture, after: Picture) -> None:
        self._head("Before and after")
        table = Table("", box=None, padding=(0, 2, 0, 0), header_style="dim")
        for store in before.totals[BIG]:
            table.add_column(store, justify="right")
        table.add_column("")
        for name, totals in before.totals.items():
            changed = comparison.changed(owned[name], after)
            same = f"[red]{len(changed):,} changed[/]" if changed else "[green]unchanged[/]"
            left = any(after.totals[name].values())
            verdict = same if name not in DELETED else "[red]left over[/]" if left else "[green]gone[/]"
            cells = [f"{number:,} → {after.totals[name][store]:,}" for store, number in totals.items()]
            table.add_row(name, *cells, verdict)
        self._console.print(table)
        deleted = owned[SMALL] | owned[BIG]
        self._faults += comparison.find_faults(deleted, before, after)
        for name in DELETED:
            if any(after.totals[name].values()):
                self._faults.append(f"left over of {name}, by count: {after.totals[name]}")
        if not self._faults:
            kept = len(before.everything) - len(deleted)
            self._say(
                f"Neighbours unchanged: each of the other {kept:,} rows, keys, files and objects was compared, "
                "and is what it was. Nothing was added."
            )

    def _show_outside(self, outside: Outside) -> None:
        self._head("The webhooks that arrived")
        received = outside.receiver.received
        for webhook in received:
            self._paste(f"POST {webhook.path}", json.dumps(webhook.body))
        told = [it.body.get("instance") for it in received if it.body.get("event") == "INSTANCE_DELETE"]
        if told != list(DELETED):
            wanted = " and ".join(DELETED)
            self._faults.append(f"one INSTANCE_DELETE webhook each for {wanted} was to arrive, not: {told or 'none'}")
        self._faults += [f"the gateway still holds {it}" for it in DELETED if it in outside.gateway.sessions]

    def _keep(self, lethe: Lethe, outside: Outside) -> None:
        self._head("Everything keeps running; Ctrl-C stops it")
        for what, where in (
            ("API", lethe.url),
            ("Documentation", f"{lethe.url}/docs"),
            ("Console", f"{lethe.url}/console"),
            ("Flower", lethe.flower_url),
            ("Webhooks", f"{outside.receiver.url}/received"),
            ("Admin key", lethe.admin_key),
            ("Settings", f". {lethe.write_environment()}   (for `lethe` in another shell)"),
        ):
            self._say(f"{what:14}", where)
        self._say("Delete a neighbour:")
        self._paste(_curl(lethe, "DELETE", _path(NEIGHBOURS[0])))
        try:
            while True:
                interrupts.sleep(1)
                lethe.check()
        except interrupts.Interrupted:
            return

    def _head(self, title: str) -> None:
        self._console.print(f"\n[bold cyan]{title}[/]")

    def _say(self, *parts: str) -> None:
        self._console.print("  " + " ".join(parts), markup=False, soft_wrap=True)

    def _paste(self, *lines: str) -> None:
        for line in lines:
            self._console.print(f"  {line}", style="bold", markup=False, soft_wrap=True)


def _path(name: str) -> str:
    return f"/instance/delete/{quote(name, safe='')}"


def _curl(lethe: Lethe, method: str, path: str, *headers: str) -> str:
    sent = [part for header in (f"apikey: {lethe.admin_key}", *headers) for part in ("-H", header)]
    return shlex.join(["curl", "-X", method, *sent, f"{lethe.url}{path}"])
