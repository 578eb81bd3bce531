"""Media in a folder: the instance's own go, and nothing outside of the root is ever touched."""

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from shared.errors import LetheError, Refused, RefusedByServer, Unreachable
from shared.evolution.media import folders
from shared.evolution.media.local_folder import LocalFolder

DELETION = UUID(int=7)
ID = "4be1a1b5-0f5c-4f5e-9a44-6f2f3c1d0a01"
NO_FOLDER_BY_NAME = [
    "",
    ".",
    "..",
    "../a",
    "../../instances",
    "a/..",
    "a/../..",
    "\x00",
    "a\x00b",
    "/",
    "./",
    "n" * 300,
]
NO_FOLDER_BY_ID = ["", ".", "..", "a/b", "../a", "a//b", "/etc", "\x00", "a\x00b", "/"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Evolution's working directory, and beside it a folder that is none of our business."""
    for folder in ("evolution/instances", "evolution/store/chatwoot", "outside/deep"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "outside/precious").write_text("x")
    (tmp_path / "outside/deep/precious").write_text("x")
    return tmp_path / "evolution"


@pytest.fixture
def outside(root: Path) -> Path:
    """What must never change."""
    return root.parent / "outside"


@pytest.fixture
def folder(root: Path) -> LocalFolder:
    """The storage on it."""
    return LocalFolder(root)


def write(root: Path, *paths: str) -> None:
    """Make files, with the folders they lie in."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")


def entries(root: Path) -> set[str]:
    """Everything in the root that is no folder, the trash left out."""
    found = (os.path.relpath(os.path.join(at, name), root) for at, _, files in os.walk(root) for name in files)
    return {path for path in found if not path.startswith(".trash")}


def erase(folder: LocalFolder, instance_id: str = ID) -> int:
    """Erase to the end; how many it counted."""
    return sum(folder.erase(instance_id, DELETION))


def take(folder: LocalFolder, name: str, *others: str) -> tuple[int, list[str]]:
    """Take what is kept by the name, beside instances of other names."""
    return folder.remove_named(name, DELETION, lambda: list(others))


def assert_untouched(outside: Path) -> None:
    """The folder beside the root is as it was."""
    assert entries(outside) == {"precious", "deep/precious"}
    assert sorted(path.name for path in outside.iterdir()) == ["deep", "precious"]


def test_the_folder_of_the_id_goes_with_all_that_is_in_it(root: Path, folder: LocalFolder) -> None:
    """Counted before, counted while it goes, and nothing is left of it."""
    write(root, f"instances/{ID}/creds.json", f"instances/{ID}/a/b/c", f"instances/{ID}/.hidden")
    write(root, "instances/other/creds.json", f"instances/{ID}0/creds.json", "store/chatwoot/a/x")

    counted, erased = folder.count(ID), erase(folder)

    assert (counted, erased) == (3, 3)
    assert folder.count(ID) == 0
    assert entries(root) == {"instances/other/creds.json", f"instances/{ID}0/creds.json", "store/chatwoot/a/x"}
    assert not (root / "instances" / ID).exists()
    assert list((root / ".trash").iterdir()) == []


def test_erasing_twice_is_harmless(root: Path, folder: LocalFolder) -> None:
    """Already gone counts nothing."""
    write(root, f"instances/{ID}/creds.json")

    counts = [erase(folder), erase(folder)]

    assert counts == [1, 0]


def test_an_instance_without_a_folder_has_no_files(root: Path, folder: LocalFolder) -> None:
    """Nothing is made for it either."""
    assert folder.count(ID) == 0
    assert erase(folder) == 0
    assert not (root / ".trash").exists()


def test_many_files_go_a_thousand_at_a_time(root: Path, folder: LocalFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a slice can end in between."""
    monkeypatch.setattr(folders, "_CHUNK", 3)
    write(root, *[f"instances/{ID}/{number}" for number in range(7)])

    counts = list(folder.erase(ID, DELETION))

    assert counts == [3, 3, 1]


def test_an_erase_that_was_stopped_goes_on_where_it_was(
    root: Path, folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is counted twice, and what has come back meanwhile goes as well."""
    monkeypatch.setattr(folders, "_CHUNK", 3)
    write(root, *[f"instances/{ID}/{number}" for number in range(7)])

    first = next(folder.erase(ID, DELETION))
    write(root, f"instances/{ID}/written-again")
    rest = erase(LocalFolder(root))

    assert (first, rest) == (3, 5)
    assert entries(root) == set()
    assert not (root / ".trash" / str(DELETION)).exists()


def test_a_deletion_does_not_empty_the_trash_of_another(root: Path, folder: LocalFolder) -> None:
    """It would count what is not its own."""
    other = f".trash/{UUID(int=8)}/instances-x/file"
    write(root, f"instances/{ID}/creds.json", other)

    erased = erase(folder)

    assert erased == 1
    assert (root / other).exists()


def test_links_are_removed_and_never_followed(root: Path, folder: LocalFolder, outside: Path) -> None:
    """To a file, to a folder, to nowhere, and in a circle."""
    write(root, f"instances/{ID}/deep/creds.json")
    here = root / "instances" / ID
    (here / "to-file").symlink_to(outside / "precious")
    (here / "to-folder").symlink_to(outside)
    (here / "deep/to-folder").symlink_to(outside / "deep")
    (here / "to-nowhere").symlink_to("/nowhere")
    (here / "circle").symlink_to(here)

    erase(folder)

    assert_untouched(outside)
    assert not os.path.lexists(here)
    assert not (root / ".trash" / str(DELETION)).exists()


def test_an_instances_folder_that_is_a_link_goes_as_the_link_it_is(
    root: Path, folder: LocalFolder, outside: Path
) -> None:
    """What it points to stays."""
    (root / "instances" / ID).symlink_to(outside)

    counted, erased = folder.count(ID), erase(folder)

    assert (counted, erased) == (1, 1)
    assert not os.path.lexists(root / "instances" / ID)
    assert_untouched(outside)


def test_the_preview_counts_what_will_be_removed(root: Path, folder: LocalFolder, outside: Path) -> None:
    """Links to folders too: a link is one by itself."""
    write(root, f"instances/{ID}/creds.json")
    (root / "instances" / ID / "to-folder").symlink_to(outside)

    assert folder.count(ID) == erase(folder)


@pytest.mark.parametrize("instance_id", NO_FOLDER_BY_ID, ids=ascii)
def test_an_id_that_is_no_folders_name_leads_nowhere(
    root: Path, folder: LocalFolder, outside: Path, instance_id: str
) -> None:
    """It would be a path to another instance's."""
    write(root, "instances/a/b", "a", "b", "instances/file")
    before = entries(root)

    counted, erased = folder.count(instance_id), erase(folder, instance_id)

    assert (counted, erased) == (0, 0)
    assert entries(root) == before
    assert_untouched(outside)


def test_an_id_that_no_file_system_takes_can_be_erased(folder: LocalFolder) -> None:
    """It has no folder."""
    assert erase(folder, "x" * 300) == 0


def test_an_id_that_no_file_system_takes_has_no_files(folder: LocalFolder) -> None:
    """Counting is no different from erasing."""
    assert folder.count("x" * 300) == 0


def test_a_linked_instances_folder_is_not_followed(root: Path, folder: LocalFolder, outside: Path) -> None:
    """It leads out of the root."""
    (root / "instances").rmdir()
    (root / "instances").symlink_to(outside)

    assert erase(folder, "deep") == 0
    assert_untouched(outside)


def test_a_linked_instances_folder_is_refused(root: Path, folder: LocalFolder, outside: Path) -> None:
    """What cannot be looked into cannot be confirmed as gone."""
    (root / "instances").rmdir()
    (root / "instances").symlink_to(outside)

    with pytest.raises(Refused):
        folder.probe()


def test_a_root_that_is_a_link_itself_is_fine(root: Path, tmp_path: Path) -> None:
    """An operator who made the link meant the place that it leads to."""
    (tmp_path / "current").symlink_to(root)
    write(root, f"instances/{ID}/creds.json", "store/chatwoot/a/x")
    linked = LocalFolder(tmp_path / "current")

    assert take(linked, "a") == (1, [])
    assert erase(linked) == 1
    assert entries(root) == set()


def test_a_linked_trash_is_not_followed(root: Path, folder: LocalFolder, outside: Path) -> None:
    """Nothing is written beside the root."""
    write(root, f"instances/{ID}/creds.json")
    (root / ".trash").symlink_to(outside)
    listing = folder.erase(ID, DELETION)

    try:
        next(listing)
    except (Refused, StopIteration):
        return

    assert not (outside / str(DELETION)).exists()


def test_a_linked_trash_of_this_deletion_is_not_emptied(root: Path, folder: LocalFolder, outside: Path) -> None:
    """It is a link: remove it, or refuse."""
    (root / ".trash").mkdir()
    (root / ".trash" / str(DELETION)).symlink_to(outside)

    with suppress(LetheError, OSError):
        erase(folder)

    assert_untouched(outside)


def test_the_folder_of_the_name_goes_into_the_trash_and_then_for_good(root: Path, folder: LocalFolder) -> None:
    """Counted when it is taken, and not once more when the trash is emptied."""
    write(root, "store/chatwoot/a/x", "store/chatwoot/a/y", "store/chatwoot/ab/x", f"instances/{ID}/creds.json")

    counted, taken = folder.count_named("a", list), take(folder, "a")
    after_taking = entries(root)
    erased = erase(folder)

    assert (counted, taken) == (2, (2, []))
    assert after_taking == {"store/chatwoot/ab/x", f"instances/{ID}/creds.json"}
    assert erased == 1
    assert not (root / ".trash" / str(DELETION)).exists()


def test_taking_twice_is_harmless(root: Path, folder: LocalFolder) -> None:
    """Already gone counts nothing."""
    write(root, "store/chatwoot/a/x")

    assert [take(folder, "a"), take(folder, "a")] == [(1, []), (0, [])]


@pytest.mark.parametrize("name", NO_FOLDER_BY_NAME, ids=lambda name: ascii(name)[:20])
def test_a_name_that_is_no_folders_name_leads_nowhere(
    root: Path, folder: LocalFolder, outside: Path, name: str
) -> None:
    """Not to store/chatwoot itself, not out of it."""
    write(root, "store/chatwoot/a/x", "store/a/x", "instances/a/x", "store/file")
    before = entries(root)

    assert folder.count_named(name, list) == 0
    assert take(folder, name) == (0, [])
    assert entries(root) == before
    assert_untouched(outside)


@pytest.mark.parametrize("name", ["a*", "a?", "[a]", "a ", "%61", "A", "🦊", "a\\b", "-rf", "~", "$HOME"], ids=ascii)
def test_a_name_is_a_folder_and_no_pattern(root: Path, folder: LocalFolder, name: str) -> None:
    """Its own goes, those that a shell would match stay."""
    write(root, f"store/chatwoot/{name}/x", "store/chatwoot/a/x", "store/chatwoot/ab/x")

    assert take(folder, name, "a", "ab") == (1, [])
    assert entries(root) == {"store/chatwoot/a/x", "store/chatwoot/ab/x"}


def test_a_nested_name_goes_with_the_empty_folders_around_it(root: Path, folder: LocalFolder) -> None:
    """They have a part of the name; store/chatwoot itself stays."""
    write(root, "store/chatwoot/a/b/c/x")

    assert take(folder, "a/b/c") == (1, [])
    assert os.listdir(root / "store/chatwoot") == []


def test_the_folders_around_a_nested_name_stay_where_they_are_anothers(root: Path, folder: LocalFolder) -> None:
    """By their content, or by their name alone."""
    write(root, "store/chatwoot/a/b/x", "store/chatwoot/a/own", "store/chatwoot/c/d/x")

    take(folder, "a/b", "a")
    take(folder, "c/d", "c")

    assert entries(root) == {"store/chatwoot/a/own"}
    assert (root / "store/chatwoot/c").is_dir()


def test_the_folders_of_neighbours_in_ours_stay(root: Path, folder: LocalFolder) -> None:
    """Everything around them goes."""
    ours = ["store/chatwoot/a/x", "store/chatwoot/a/b2/x", "store/chatwoot/a/deep/y", "store/chatwoot/a/deep/bb/x"]
    theirs = ["store/chatwoot/a/b/x", "store/chatwoot/a/deep/b/x"]
    write(root, *ours, *theirs)

    counted = folder.count_named("a", lambda: ["a/b", "a/deep/b", "z"])
    taken = take(folder, "a", "a/b", "a/deep/b", "z")

    assert (counted, taken) == (4, (4, []))
    assert entries(root) == set(theirs)


@pytest.mark.parametrize("other", ["a", "a/", "./a", "b/../a", "a/.", "/a", "a//"])
def test_a_folder_that_another_name_leads_to_as_well_stays_and_is_reported(
    root: Path, folder: LocalFolder, other: str
) -> None:
    """The gateway joins paths, so several names may share one."""
    write(root, "store/chatwoot/a/x")

    counted = folder.count_named("a", lambda: [other])
    taken, shared = take(folder, "a", other)

    assert (counted, taken) == (0, 0)
    assert len(shared) == 1
    assert entries(root) == {"store/chatwoot/a/x"}


def test_a_double_slash_is_one_to_a_file_system(root: Path, folder: LocalFolder) -> None:
    """`a//b` and `a/b` share a folder; it stays while one of them lives."""
    write(root, "store/chatwoot/a/b/x")

    taken, shared = take(folder, "a//b", "a/b")
    alone = take(folder, "a//b")

    assert (taken, len(shared)) == (0, 1)
    assert alone == (1, [])


def test_a_file_in_the_folder_of_a_living_name_is_not_taken(root: Path, folder: LocalFolder) -> None:
    """`a/import.csv` is an instance's name, and a file of the living `a`."""
    write(root, "store/chatwoot/a/import.csv")

    take(folder, "a/import.csv", "a")

    assert entries(root) == {"store/chatwoot/a/import.csv"}


@pytest.mark.parametrize("place", ["store", "store/chatwoot", "store/chatwoot/a"])
def test_a_link_on_the_way_to_a_name_is_not_followed(
    root: Path, folder: LocalFolder, outside: Path, place: str
) -> None:
    """At every level above the folder itself."""
    (root / "store/chatwoot").rmdir()
    (root / "store").rmdir()
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).symlink_to(outside)
    for inside in ("chatwoot/a/deep", "a/deep"):
        (outside / inside).mkdir(parents=True)
        (outside / inside / "precious").write_text("x")
    before = entries(outside)

    counted, taken = folder.count_named("a/deep", list), take(folder, "a/deep")

    assert (counted, taken) == (0, (0, []))
    assert entries(outside) == before


def test_a_named_folder_that_is_a_link_goes_as_the_link_it_is(root: Path, folder: LocalFolder, outside: Path) -> None:
    """What it points to stays."""
    (root / "store/chatwoot/a").symlink_to(outside)

    taken = take(folder, "a")
    erase(folder)

    assert taken == (1, [])
    assert not os.path.lexists(root / "store/chatwoot/a")
    assert_untouched(outside)


def test_a_linked_folder_is_not_looked_into_for_neighbours(root: Path, folder: LocalFolder, outside: Path) -> None:
    """`a` is a link out of the root, and an `a/b` lives."""
    (root / "store/chatwoot/a").symlink_to(outside)

    take(folder, "a", "a/b")

    assert_untouched(outside)


def test_a_file_instead_of_a_folder_is_taken_though_a_neighbour_is_nested(root: Path, folder: LocalFolder) -> None:
    """There is no folder of the neighbour in it."""
    write(root, "store/chatwoot/a")

    assert take(folder, "a", "a/b") == (1, [])


def test_an_empty_folder_does_not_stay_for_a_neighbour_without_files(root: Path, folder: LocalFolder) -> None:
    """`a/b` lives and has no folder; `a` would be left as an empty one."""
    write(root, "store/chatwoot/a/x")

    take(folder, "a", "a/b")

    assert os.listdir(root / "store/chatwoot") == []


@pytest.mark.parametrize("kept", ["instances", "store"])
def test_a_root_with_one_of_evolutions_folders_is_accepted(root: Path, folder: LocalFolder, kept: str) -> None:
    """A server without Chatwoot has no store."""
    for path in ("instances", "store/chatwoot", "store"):
        if not path.startswith(kept):
            (root / path).rmdir()

    folder.probe()


@pytest.fixture
def bare(root: Path) -> Path:
    """Evolution's working directory, of a server that keeps its sessions elsewhere and so made no folder."""
    shutil.rmtree(root)
    (root / "node_modules").mkdir(parents=True)
    (root / "package.json").write_text('{"name": "evolution-api", "version": "2.3.6"}')
    return root


def test_evolutions_working_directory_without_its_folders_holds_nothing(bare: Path, folder: LocalFolder) -> None:
    """It is accepted, there is nothing to remove, and nothing is made."""
    folder.probe()

    assert (folder.count(ID), folder.count_named("a", list)) == (0, 0)
    assert (erase(folder), take(folder, "a")) == (0, (0, []))
    assert folder.ids() == folder.trash_ids() == set()
    assert sorted(path.name for path in bare.iterdir()) == ["node_modules", "package.json"]


@pytest.mark.parametrize(
    ("package", "is_installed"),
    [(None, True), ("{", True), ("[]", True), ('{"name": "another-api"}', True), ('{"name": "evolution-api"}', False)],
    ids=["no package", "no JSON", "no object", "another program", "sources beside a compose file"],
)
def test_a_folder_without_evolutions_folders_is_refused(
    bare: Path, folder: LocalFolder, package: str | None, is_installed: bool
) -> None:
    """Unless a server can run in it; the setting is named."""
    (bare / "package.json").unlink() if package is None else (bare / "package.json").write_text(package)
    if not is_installed:
        (bare / "node_modules").rmdir()

    with pytest.raises(Refused, match="neither instances/ nor store/: LETHE_FILES_ROOT"):
        folder.probe()


@pytest.mark.parametrize("left", [None, ".trash"])
def test_an_empty_mount_point_is_refused(root: Path, folder: LocalFolder, left: str | None) -> None:
    """Nothing is mounted there; the setting is named."""
    shutil.rmtree(root)
    (root / (left or "")).mkdir(parents=True)

    with pytest.raises(Refused, match="is empty: LETHE_FILES_ROOT"):
        folder.probe()


@pytest.fixture(params=[errno.EXDEV, errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EPERM], ids=errno.errorcode.get)
def volumes(root: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """instances/ and store/ are volumes of their own, below a folder to which nothing can be moved."""
    rename = Path.rename

    def move(path: Path, target: Path) -> Path:
        if target.is_relative_to(root / ".trash"):
            raise OSError(request.param, os.strerror(request.param))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", move)
    return root


def test_a_folder_on_a_volume_of_its_own_goes(volumes: Path, folder: LocalFolder) -> None:
    """As where only Evolution's volume of instances/ is mounted, below the files root."""
    write(volumes, f"instances/{ID}/creds.json", "instances/other/creds.json", "store/chatwoot/a/x")

    named, erased = take(folder, "a"), erase(folder)

    assert (named, erased) == ((1, []), 1)
    assert not (volumes / "instances" / ID).exists()
    assert {path for path in entries(volumes) if ".trash" not in path} == {"instances/other/creds.json"}
    assert folder.trash_ids() == set()


def test_what_a_killed_worker_left_on_a_volume_is_found_again(volumes: Path, folder: LocalFolder) -> None:
    """By its deletion's id, as in the root's own trash."""
    write(volumes, "store/chatwoot/a/x", "store/chatwoot/a/y", f".trash/{DELETION}/instances-x/file")
    take(folder, "a")

    found, held = folder.trash_ids(), folder.measure_trash(DELETION)
    emptied = sum(folder.empty_trash(DELETION))

    assert (found, held.number, emptied) == ({str(DELETION)}, 3, 1)
    assert folder.trash_ids() == set()


@pytest.mark.parametrize("place", ["instances/.trash", "store/.trash"])
def test_a_linked_trash_on_a_volume_is_not_followed(
    volumes: Path, folder: LocalFolder, outside: Path, place: str
) -> None:
    """It is refused, before anything is moved there."""
    write(volumes, f"instances/{ID}/creds.json")
    (volumes / place).symlink_to(outside)

    with pytest.raises(Refused):
        folder.probe()
    with pytest.raises(Refused):
        erase(folder)
    assert_untouched(outside)


def test_no_instance_is_called_like_the_trash(root: Path, folder: LocalFolder) -> None:
    """It holds what other deletions have put there."""
    write(root, f"instances/.trash/{UUID(int=8)}/file")

    assert (folder.count(".trash"), erase(folder, ".trash")) == (0, 0)
    assert (root / "instances/.trash" / str(UUID(int=8)) / "file").exists()


@pytest.mark.parametrize(
    ("writable", "is_refused"),
    [({"instances", "chatwoot", "store"}, False), ({"instances", "chatwoot"}, True), ({"evolution", "store"}, True)],
    ids=["only the volumes", "no place for a trash", "a volume that is read-only"],
)
def test_what_is_removed_must_be_writable_and_have_a_trash(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch, writable: set[str], is_refused: bool
) -> None:
    """The root itself need not be, where its folders are volumes."""
    monkeypatch.setattr(os, "access", lambda path, mode, **_: Path(path).name in writable)

    with pytest.raises(Refused, match="cannot be written to") if is_refused else nullcontext():
        folder.probe()


@pytest.mark.parametrize("wrong", ["outside", "nowhere", "outside/precious"])
def test_a_wrong_root_is_refused(root: Path, wrong: str) -> None:
    """Something else, nothing, a file: before anything is removed."""
    with pytest.raises(Refused, match="the files root"):
        LocalFolder(root.parent / wrong).probe()


def test_a_root_that_cannot_be_written_to_is_refused(folder: LocalFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only mount."""
    monkeypatch.setattr(os, "access", lambda path, mode, **_: not mode & os.W_OK)

    with pytest.raises(Refused, match="cannot be written to"):
        folder.probe()


@pytest.mark.parametrize("act", [erase, lambda folder: take(folder, "a")])
def test_a_file_system_that_fails_is_waited_for(
    root: Path, folder: LocalFolder, monkeypatch: pytest.MonkeyPatch, act: Callable[[LocalFolder], object]
) -> None:
    """A network share that is away for a minute uses no tries up."""
    write(root, f"instances/{ID}/creds.json", "store/chatwoot/a/x")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "rename", fail)

    with pytest.raises(Unreachable, match="the files root cannot be reached: Input/output error"):
        act(folder)


@pytest.mark.parametrize("call", ["unlink", "rmdir"])
def test_a_file_that_cannot_be_removed_is_named(
    root: Path, folder: LocalFolder, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """With the reason and the path's tail; after a retry the rest goes."""
    write(root, f"instances/{ID}/deep/creds.json")

    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", f"/mount/{ID}/creds.json")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(RefusedByServer) as raised:
            erase(folder)
    rest = erase(folder)

    assert raised.value.title == f'the files root refused "mount/{ID}/creds.json": Permission denied (errno EACCES)'
    assert rest <= 1
    assert entries(root) == set()


def test_a_folder_that_goes_away_meanwhile_is_gone(
    root: Path, folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run was faster."""
    write(root, f"instances/{ID}/creds.json")

    def vanish(source: Path, _: object) -> None:
        shutil.rmtree(source)
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "rename", vanish)

    assert erase(folder) == 0


def test_only_folders_called_like_an_id_are_listed(tmp_path: Path) -> None:
    """No link, no file, and nothing of another form."""
    instances = tmp_path / "instances"
    mine, linked, file = (f"3f0c0000-0000-4000-8000-00000000000{number}" for number in range(3))
    for name in (mine, mine.upper().replace("0", "A"), f"{mine}.bak", "support"):
        (instances / name).mkdir(parents=True)
    (instances / linked).symlink_to(instances / "support")
    (instances / file).write_text("")

    assert LocalFolder(tmp_path).ids() == {mine}


def test_a_folder_is_measured_without_following_links(tmp_path: Path) -> None:
    """A link is one file, of its own size; the newest of all says how old it is."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_text("x" * 10_000)
    folder = tmp_path / "instances" / "mine"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "creds.json").write_text("12345")
    (folder / "link").symlink_to(outside)
    os.utime(folder / "deep" / "creds.json", (2_000_000_000, 2_000_000_000))

    held = LocalFolder(tmp_path).measure("mine")

    assert (held.number, held.newest) == (2, datetime.fromtimestamp(2_000_000_000, UTC))
    assert 5 < held.size_bytes < 1_000


def find(folder: LocalFolder, *others: str) -> dict[str, int]:
    """Names that have a folder and are nobody's beside these, and how many files there are."""
    return {name: held.number for name, held in folder.find_named(lambda: list(others)).items()}


def test_folders_by_name_are_found_that_no_living_name_leads_to(root: Path, folder: LocalFolder) -> None:
    """However it is written; what lies deeper is called by its beginning."""
    write(root, *(f"store/chatwoot/{path}/x" for path in ("a", "b", "c", "c d", "deep/er", "e")))

    found = find(folder, "a", "./b", "x/../c", "e//")

    assert found == {"c d": 1, "deep": 1}


@pytest.mark.parametrize("other", ["a", "/a", "a/."])
def test_a_folder_in_a_living_names_folder_is_that_ones(root: Path, folder: LocalFolder, other: str) -> None:
    """`a/b` may have been an instance, or have been written by `a`."""
    write(root, "store/chatwoot/a/b/x")

    assert find(folder, other) == {}


def test_a_lost_names_folder_is_measured_without_a_living_ones_in_it(root: Path, folder: LocalFolder) -> None:
    """What is empty but for that one is not there at all."""
    write(root, *(f"store/chatwoot/{path}" for path in ("a/x", "a/deep/y", "a/b/z", "a/deep/b/z", "c/d/z")))

    assert find(folder, "a/b", "a/deep/b", "c/d") == {"a": 2}


def test_what_is_no_folder_is_found_for_no_name(root: Path, folder: LocalFolder, outside: Path) -> None:
    """A link, a file, a name that is no text; a folder that holds nothing is one."""
    write(root, "store/chatwoot/export.csv")
    (root / "store/chatwoot/linked").symlink_to(outside)
    (root / "store/chatwoot" / os.fsdecode(b"\xff")).mkdir()
    (root / "store/chatwoot/empty").mkdir()

    assert find(folder) == {"empty": 0}


def test_links_around_a_living_names_folder_are_measured_as_links(
    root: Path, folder: LocalFolder, outside: Path
) -> None:
    """One thing each, of its own size, whatever they lead to."""
    write(root, "store/chatwoot/a/b/x")
    (root / "store/chatwoot/a/link").symlink_to(outside)
    (root / "store/chatwoot/a/file").symlink_to(outside / "precious")

    held = folder.find_named(lambda: ["a/b"])["a"]

    assert held.number == 2
    assert held.size_bytes == sum(os.lstat(root / "store/chatwoot/a" / name).st_size for name in ("link", "file"))


def test_nothing_is_found_by_name_where_there_is_no_store(root: Path, folder: LocalFolder) -> None:
    """A server without Chatwoot has none."""
    shutil.rmtree(root / "store")

    assert find(folder) == {}


def dig(top: Path, name: str, levels: int) -> None:
    """Make folders in folders, with a file in the last one; their path may be longer than any call takes."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


@pytest.mark.parametrize(("name", "levels"), [("n" * 200, 150), ("n", 3_000)], ids=["30 KB", "3,000 levels"])
def test_folders_go_however_deep_they_are(root: Path, folder: LocalFolder, name: str, levels: int) -> None:
    """With a path that no call takes, and more levels than a process may have open files."""
    write(root, f"instances/{ID}/creds.json")
    dig(root / "instances" / ID, name, levels)

    folder.rehearse(ID, "a", list)
    before = folder.count(ID), folder.measure(ID).number
    removed = erase(folder)

    assert min(before) >= 1
    assert removed == 2
    assert not (root / "instances" / ID).exists()
    assert not (root / ".trash" / str(DELETION)).exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("call", ["lstat", "unlink", "scandir", "rename"])
def test_a_disk_that_fails_in_the_middle_is_waited_for(
    root: Path, folder: LocalFolder, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """A folder that cannot be looked for does not count as gone; afterwards it goes."""
    write(root, f"instances/{ID}/deep/creds.json")

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(Unreachable, match=os.strerror(number)):
            erase(folder)
    erase(folder)

    assert entries(root) == set()
