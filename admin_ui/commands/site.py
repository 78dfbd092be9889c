"""latchkey-admin init, serve, password and model ship: what is done to the site as a whole."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from admin_ui.commands.shared import OK, office_at, read_password, report, site_settings, whoever
from admin_ui.owner import refuse_root
from admin_ui.roles import AccountRole
from firmware_config.files import is_missing
from firmware_config.settings import AdminSettings, load_admin

if TYPE_CHECKING:
    from admin_ui.commands.shared import Commands


def add_site(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Add `init`, `serve` and `password`."""
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
    password.add_argument("--role", choices=[role.value for role in AccountRole], help="default: as it was; new: all")
    password.add_argument("--no-codes", action="store_true", help="ask for no one-time codes any more")
    password.set_defaults(command=_password)

    web = commands.add_parser("web-certificate", parents=[shared], help="make the page's own certificate anew")
    web.add_argument("--host", action="append", default=[], help="also for this name or address; may be given again")
    web.set_defaults(command=_web_certificate)

    metrics = commands.add_parser("metrics-token", parents=[shared], help="what Prometheus shows at /metrics")
    metrics.set_defaults(command=_metrics_token)


def add_model(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Add `model ...`."""
    model = commands.add_parser("model", help="encoders").add_subparsers(required=True, metavar="WHAT")
    ship = model.add_parser("ship", parents=[shared], help="send a bundle to every door")
    ship.add_argument("bundle", type=Path)
    ship.add_argument("--rollback", action="store_true", help="also when it is older than the one in force")
    ship.add_argument("--leave-out", action="store_true", help="also when some people have to be enrolled again")
    ship.set_defaults(command=_ship)


def _init(options: argparse.Namespace) -> int:
    from admin_ui.founding import found  # noqa: PLC0415

    state = options.state.resolve() if options.state else None
    if is_missing(options.settings):
        refuse_root(state or AdminSettings(site="home").state, options.words)
    else:
        refuse_root(load_admin(options.settings).state, options.words)
    chosen = read_password(options.password_file) if options.password_file else ""
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
    broker = "`latchkey-admin broker write FOLDER --host HOST` (docs/broker.md), " if done.settings.broker.tls else ""
    print(f"Next: {broker}`latchkey-admin door add NAME`, then `latchkey-admin serve`.")
    return OK


def _serve(options: argparse.Namespace) -> int:
    from admin_ui.port import check_port  # noqa: PLC0415

    settings = site_settings(options)
    check_port(settings.page)

    from admin_ui.service import Office  # noqa: PLC0415
    from admin_ui.serving import serve  # noqa: PLC0415

    return serve(Office(settings))


def _password(options: argparse.Namespace) -> int:
    from admin_ui.accounts import drop_codes, set_password  # noqa: PLC0415
    from admin_ui.store import open_store  # noqa: PLC0415

    settings = site_settings(options)
    store = open_store(settings.store, settings.state)
    try:
        role = AccountRole(options.role) if options.role else None
        set_password(store, options.account, read_password(options.password_file), by=whoever(), role=role)
        if options.no_codes:
            drop_codes(store, options.account, by=whoever())
    finally:
        store.close()
    print(f"The password of {options.account} is set.")
    return OK


def _web_certificate(options: argparse.Namespace) -> int:
    from admin_ui.webcert import make  # noqa: PLC0415

    settings = site_settings(options)
    made = make(settings, options.host)
    print(f"{made.certificate} is good until {made.ends:%Y-%m-%d}, for {', '.join(made.names)}. Restart the page.")
    if not settings.page.https:
        print("The page speaks http: it listens on this machine alone. `host` or `tls` under [page] changes that.")
    elif settings.page.cert_file is not None:
        print(f"The page does not show it, but {settings.page.cert_file}, as admin.toml says.")
    return OK


def _metrics_token(options: argparse.Namespace) -> int:
    with office_at(options, connect=False) as office:
        print(office.metrics_token())
    return OK


def _ship(options: argparse.Namespace) -> int:
    data = options.bundle.read_bytes()
    with office_at(options, connect=True) as office:
        return report(
            office, office.ship_model(data, whoever(), rollback=options.rollback, leave_out=options.leave_out)
        )
