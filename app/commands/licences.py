"""`openml-web licences`: whose software this installation is made of, and on which terms."""

import click

from app.core.licences import find_licences


@click.command()
@click.option("--texts", is_flag=True, help="The texts as well, as many licences want them passed on.")
def licences(*, texts: bool) -> None:
    """List the packages of this installation with their licences."""
    found = find_licences()
    width = max(len(each.name) + len(each.version) for each in found) + 1
    for each in found:
        click.echo(f"{f'{each.name} {each.version}'.ljust(width)}  {each.summary}")
    if texts:
        for each in found:
            head = f"{each.name} {each.version}: {each.summary}"
            click.echo("\n\n".join([f"\n{'=' * len(head)}\n{head}", *each.texts]))
