"""Short links: `/d/61` leads to the frontend's page of dataset 61."""

import re

TARGETS = {
    "d": "type=data&sort=runs",
    "t": "type=task&sort=runs",
    "f": "type=flow&sort=runs",
    "r": "type=run&sort=date",
    "s": "type=study&study_type=run",
    "u": "type=user&sort=date",
    "b": "type=benchmark&study_type=task",
}
SHORT_LINK = re.compile(r"/([dtfrsub])/([0-9]{1,18})/?")


def find_target(path: str, *, redirect_url: str) -> str | None:
    """Return the redirect target of a short link, None if the path is not one.

    The path alone counts, never the query string; without `redirect_url` the target has no host, so that nothing in
    the request can choose one.
    """
    match = SHORT_LINK.fullmatch(path)
    if match is None:
        return None
    kind, number = match.groups()
    return f"{redirect_url}/search?{TARGETS[kind]}&id={number}"
