"""`openml-web doctor`: what is wrong here, and what to do about it."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence

import click
import structlog

from app.core.setting_loading import load_settings
from app.doctor.configuration import explained
from app.doctor.diagnosis import Diagnosis, Level, Wishes, secrets_of, without
from app.doctor.examination import NAMES, examine_installation

_COLOURS = {Level.OK: "green", Level.SKIPPED: "bright_black", Level.WARNING: "yellow", Level.FAULT: "red"}


@click.command()
@click.option(
    "--only", type=click.Choice(NAMES), multiple=True, help="Only this check; may come several times."
)
@click.option(
    "--through",
    default="",
    metavar="URL",
    help="The site as people reach it: also look at the web server in front.",
)
@click.option("--mail-to", default="", metavar="ADDRESS", help="Send a test mail there.")
@click.option("--account", default="", metavar="NAME", help="Try the API key of this account at OpenML.")
@click.option(
    "--dns", is_flag=True, help="Ask the name servers for SPF, DKIM and DMARC of the sender's domain."
)
@click.option("--name-server", default="", metavar="HOST[:PORT]", help="Which of them; else the system's.")
@click.option("--settings", "shows_settings", is_flag=True, help="Only say what is set, and what it means.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--strict", is_flag=True, help="Let warnings count as faults.")
def doctor(
    *,
    only: Sequence[str],
    through: str,
    mail_to: str,
    account: str,
    dns: bool,
    name_server: str,
    shows_settings: bool,
    as_json: bool,
    strict: bool,
) -> None:
    """Look at everything that the service needs; it changes nothing. Exit code 1 where there is a fault."""
    settings = load_settings()
    if shows_settings:
        secrets = secrets_of(settings)
        for name, value, meaning in explained(settings):
            click.echo(without(secrets, f"{name}={value}"))
            click.echo(f"    {meaning}")
        return
    # What is found is printed, each fault once: the lines by which a service tells of the same would stand in between.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    wishes = Wishes(through, mail_to, account, dns, name_server)
    found = asyncio.run(examine_installation(settings, wishes, frozenset(only)))
    if as_json:
        click.echo(json.dumps({"findings": [each._asdict() for each in found]}, indent=2))
    else:
        _print(found)
    failing = {Level.FAULT, Level.WARNING} if strict else {Level.FAULT}
    raise click.exceptions.Exit(int(any(each.level in failing for each in found)))


def _print(found: Sequence[Diagnosis]) -> None:
    for check, level, text in found:
        click.echo(f"{click.style(f'{level:8}', fg=_COLOURS[level])} {check:10} {text}")
    counts = Counter(each.level for each in found)
    click.echo(f"{counts[Level.FAULT]} faults, {counts[Level.WARNING]} warnings.")
