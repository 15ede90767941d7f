"""`openml-web drain`: one instance is taken out from behind its load balancer, and goes on answering."""

import click

from app.core.leaving import drained_mark
from app.core.probes import KEEP_SECONDS
from app.core.setting_loading import load_settings


@click.command()
@click.option("--off", is_flag=True, help="Take it back.")
def drain(*, off: bool) -> None:
    """Have /health/ready of the instance on PORT say no, until it is started anew; it goes on answering."""
    settings = load_settings()
    mark = drained_mark(settings)
    if off:
        mark.unlink(missing_ok=True)
        click.echo(f"The instance on port {settings.port} is ready again, if it is.")
        return
    mark.touch()
    click.echo(
        f"Within {KEEP_SECONDS:g} second /health/ready of the instance on port {settings.port} says no. "
        "Stop it once nobody sends it anything more."
    )
