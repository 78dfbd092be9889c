"""latchkey-admin: found a site, serve its page, and do from a shell what the page does."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from admin_ui.demo.command import add_demo
from firmware_config.errors import BadInput, LatchkeyError
from firmware_config.settings import BrokerSettings, SettingsRefused, load_admin

if TYPE_CHECKING:
    from admin_ui.service import Office
    from admin_ui.views import Change

OK: Final = 0
FAILED: Final = 1
BAD_ARGUMENTS: Final = 2
DEFAULT_SETTINGS: Final = Path("/etc/latchkey-admin/admin.toml")
CONNECT_S: Final = 3.0
"""How long a command waits for the broker before it does without."""
APPLIED_S: Final = 5.0
"""How long a command waits for the door to say that it runs what was sent."""


def main(arguments: Sequence[str] | None = None) -> int:
    """-> exit code: 0 done, 1 failed, 2 wrong settings or arguments."""
    options = _parser().parse_args(arguments)
    stamp = "" if os.environ.get("JOURNAL_STREAM") else "%(asctime)s "
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.WARNING,
        format=f"{stamp}%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # The migrations' own progress is of no use to a person.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        code: int = options.command(options)
    except SettingsRefused as refused:
        print(refused, file=sys.stderr)
        return BAD_ARGUMENTS
    except (LatchkeyError, OSError) as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="latchkey-admin", description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="say more on stderr")
    parser.add_argument("--settings", type=Path, default=DEFAULT_SETTINGS, help=f"default {DEFAULT_SETTINGS}")
    # After the command as well, where people look for it; SUPPRESS keeps the default of the one above.
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--settings", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    init = commands.add_parser("init", parents=[shared], help="found a site: folders, keys, admin.toml, first account")
    init.add_argument("--site", default="", help="its name in topics, a-z and 0-9 (default home)")
    init.add_argument("--state", type=Path, help="where keys and store are kept (default /var/lib/latchkey-admin)")
    init.add_argument("--broker", default="", metavar="URL", help="default mqtt://127.0.0.1:1883")
    init.add_argument("--port", type=int, default=0, help="of the page (default 7860)")
    init.add_argument("--password-file", type=Path, help="first line: the password (default: one is made and shown)")
    init.set_defaults(command=_init)

    serve = commands.add_parser("serve", parents=[shared], help="run the page until told to stop")
    serve.set_defaults(command=_serve)

    password = commands.add_parser("password", parents=[shared], help="make an account or change its password")
    password.add_argument("account")
    password.add_argument("--password-file", type=Path, help="first line: the password (default: asks)")
    password.set_defaults(command=_password)

    _door_commands(commands, shared)
    _people_commands(commands, shared)

    model = commands.add_parser("model", help="encoders").add_subparsers(required=True, metavar="WHAT")
    ship = model.add_parser("ship", parents=[shared], help="send a bundle to every door")
    ship.add_argument("bundle", type=Path)
    ship.add_argument("--rollback", action="store_true", help="also when it is older than the one in force")
    ship.set_defaults(command=_ship)
    add_demo(commands)
    return parser


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse gives its type no other name


def _door_commands(commands: Commands, shared: argparse.ArgumentParser) -> None:
    door = commands.add_parser("door", help="doors").add_subparsers(required=True, metavar="WHAT")
    add = door.add_parser("add", parents=[shared], help="make a door and the folder to carry to it")
    add.add_argument("name")
    add.add_argument("--out", type=Path, help="the folder (default: below the state folder)")
    add.add_argument("--broker", default="", metavar="URL", help="as the door reaches it (default: as the page does)")
    add.add_argument("--username", default="", help="the door's user at the broker")
    add.add_argument("--password-file", type=Path, help="the door's password at the broker")
    add.set_defaults(command=_door_add)
    door.add_parser("list", parents=[shared], help="what the doors say").set_defaults(command=_door_list)
    unlock = door.add_parser("unlock", parents=[shared], help="ask a door to unlock now")
    unlock.add_argument("name")
    unlock.add_argument("--why", default="", help="goes into the record")
    unlock.set_defaults(command=_door_unlock)
    tau = door.add_parser("tau", parents=[shared], help="show or change a door's threshold")
    tau.add_argument("name")
    tau.add_argument("tau", type=float, nargs="?", help="distance, 0 to 2")
    tau.set_defaults(command=_door_tau)


def _people_commands(commands: Commands, shared: argparse.ArgumentParser) -> None:
    enrol = commands.add_parser("enrol", parents=[shared], help="enrol somebody from a photo")
    enrol.add_argument("name")
    enrol.add_argument("photo", type=Path)
    enrol.add_argument("--door", action="append", default=[], help="may be given again (default: every door)")
    enrol.add_argument("--another-person", action="store_true", help="enrol although somebody looks the same")
    enrol.set_defaults(command=_enrol)
    people = commands.add_parser("people", parents=[shared], help="who is enrolled")
    people.set_defaults(command=_people)
    what = people.add_subparsers(metavar="WHAT")
    what.add_parser("list", parents=[shared], help="all, by name").set_defaults(command=_people)
    remove = what.add_parser("remove", parents=[shared], help="erase somebody")
    remove.add_argument("name", help="name or id")
    remove.set_defaults(command=_remove)


# Each command loads what it needs: `init` must not wait for OpenCV, nor `people` for the page.


@contextlib.contextmanager
def _office(options: argparse.Namespace, *, connect: bool) -> Iterator[Office]:
    from admin_ui.service import Office  # noqa: PLC0415

    office = Office(load_admin(options.settings))
    try:
        if connect:
            office.start()
            office.link.wait_connected(CONNECT_S)
        yield office
    finally:
        office.stop()


def _by() -> str:
    return f"{getpass.getuser()} (shell)"


def _read_password(path: Path | None) -> str:
    if path is None:
        return getpass.getpass("New password: ")
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines:
        raise BadInput(f"{path} is empty. Write the password into its first line.")
    return lines[0]


def _report(office: Office, change: Change) -> int:
    print(change.sentence)
    for news in change.news:
        if not news.sent:
            print(f"  {news.sentence}")
            continue
        view = office.wait_applied(news.door, news.generation, APPLIED_S if office.door(news.door).online else 0.5)
        if view.applied_generation >= news.generation:
            print(f"  {view.name} runs list {view.applied_generation}.")
        else:
            print(f"  {view.name} has not taken list {news.generation} yet. {' '.join(view.problems)}")
    return OK


def _init(options: argparse.Namespace) -> int:
    from admin_ui.founding import found  # noqa: PLC0415

    chosen = _read_password(options.password_file) if options.password_file else ""
    state = options.state.resolve() if options.state else None
    done = found(
        options.settings,
        options.site,
        state=state,
        broker_url=options.broker,
        port=options.port,
        password=chosen,
    )
    print(f"Site {done.settings.site}: settings in {options.settings}, keys and store in {done.settings.state}.")
    if done.password:
        print(
            f"Account {done.account}, password {done.password}  (shown once; change it with `latchkey-admin password`)"
        )
    print("Next: `latchkey-admin door add NAME`, then `latchkey-admin serve`.")
    return OK


def _serve(options: argparse.Namespace) -> int:
    from admin_ui.service import Office  # noqa: PLC0415
    from admin_ui.serving import serve  # noqa: PLC0415

    return serve(Office(load_admin(options.settings)))


def _password(options: argparse.Namespace) -> int:
    from admin_ui.accounts import set_password  # noqa: PLC0415
    from admin_ui.store import open_store  # noqa: PLC0415

    settings = load_admin(options.settings)
    store = open_store(settings.store, settings.state)
    try:
        set_password(store, options.account, _read_password(options.password_file), by=_by())
    finally:
        store.close()
    print(f"The password of {options.account} is set.")
    return OK


def _door_add(options: argparse.Namespace) -> int:
    broker: BrokerSettings | None = None
    settings = load_admin(options.settings)
    if options.broker or options.username:
        values = {"url": options.broker or settings.broker.url, "ca_file": settings.broker.ca_file}
        values |= {"username": options.username, "password_file": options.password_file}
        broker = BrokerSettings.model_validate(values)
    with _office(options, connect=True) as office:
        folder = office.add_door(options.name, _by(), options.out, broker)
        print(f"{options.name} is made. Carry {folder / 'door'} to the door and {folder / 'lock'} to its lock.")
    return OK


def _door_list(options: argparse.Namespace) -> int:
    with _office(options, connect=True) as office:
        # The doors' retained words arrive right after the connection; their answers need no longer than this.
        office.link.wait_until(lambda: all(door.online for door in office.doors()), 1.0)
        for door in office.doors():
            state = "online" if door.online else "offline"
            print(
                f"{door.name}: {state}, lock {door.lock}, list {door.applied_generation} of {door.generation}, "
                f"{door.people} people, threshold {door.tau:.3f}"
            )
            for problem in door.problems:
                print(f"  {problem}")
    return OK


def _door_unlock(options: argparse.Namespace) -> int:
    with _office(options, connect=True) as office:
        office.link.wait_until(lambda: office.link.presence(options.name).online, 1.0)
        answer = office.unlock(options.name, _by(), options.why)
    print(answer.sentence)
    return OK if answer.ok else FAILED


def _door_tau(options: argparse.Namespace) -> int:
    with _office(options, connect=options.tau is not None) as office:
        if options.tau is not None:
            office.link.wait_until(lambda: office.link.presence(options.name).online, 1.0)
            _report(office, office.set_tau(options.name, options.tau, _by()))
        view = office.threshold(options.name)
        print(f"{view.tau:.3f} (from {view.low:g} to {view.high:g}). {office.explain_tau(options.name, view.tau)}")
    return OK


def _enrol(options: argparse.Namespace) -> int:
    photo = options.photo.read_bytes()
    with _office(options, connect=True) as office:
        return _report(
            office,
            office.enrol(options.name, photo, options.door, _by(), confirm_duplicate=options.another_person),
        )


def _people(options: argparse.Namespace) -> int:
    with _office(options, connect=False) as office:
        for person in office.people():
            print(f"{person.id}  {person.name}  ({', '.join(person.doors) or 'no door'})")
    return OK


def _remove(options: argparse.Namespace) -> int:
    with _office(options, connect=True) as office:
        wanted = [one for one in office.people() if options.name in (one.id, one.name)]
        if not wanted:
            raise BadInput(f"Nobody named {options.name!r} is enrolled. `latchkey-admin people` lists all.")
        return _report(office, office.remove(wanted[0].id, _by()))


def _ship(options: argparse.Namespace) -> int:
    data = options.bundle.read_bytes()
    with _office(options, connect=True) as office:
        return _report(office, office.ship_model(data, _by(), rollback=options.rollback))


if __name__ == "__main__":
    sys.exit(main())
