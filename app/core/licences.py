"""Whose software this installation is made of, and on which terms, as the packages say it."""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OUR_NAME = "openml-web"
TEXTS = ("licen", "copying", "notice", "authors")
"""How the names of files begin that hold terms, or who gave them."""


class Terms(NamedTuple):
    """The terms of one package.

    Attributes:
        name: of the package.
        version: which one is installed.
        summary: an SPDX expression, or what the package says instead of one.
        texts: the files that it brings them in, as they are.
    """

    name: str
    version: str
    summary: str
    texts: tuple[str, ...]


@cache
def find_licences() -> tuple[Terms, ...]:
    """Return the terms of everything that this service needs here, its extras included, by name.

    Reads some files of each package, once in a process.
    """
    found: dict[str, Distribution] = {}
    waiting = [(OUR_NAME, frozenset(distribution(OUR_NAME).metadata.get_all("Provides-Extra") or ()))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = found.get(name) or distribution(name)
        except PackageNotFoundError:
            continue  # an extra that is not installed, or what another platform needs
        waiting += [
            (canonicalize_name(each.name), frozenset(each.extras)) for each in _needs(found[name], extras)
        ]
    return tuple(_licence(name, found[name]) for name in sorted(found))


def _needs(installed: Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for text in installed.requires or ():
        needed = Requirement(text)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield needed


def _licence(name: str, installed: Distribution) -> Terms:
    metadata = installed.metadata
    classified = [
        each.rpartition(" :: ")[2]
        for each in metadata.get_all("Classifier") or ()
        if each.startswith("License ::")
    ]
    # Older packages have their whole text in that field.
    stated = [text.strip().partition("\n")[0] for text in metadata.get_all("License") or ()]
    spdx = metadata.get_all("License-Expression") or []
    terms = ", ".join(spdx or classified or filter(None, stated)) or "not said; see the text"
    texts = [
        file.read_text()
        for file in installed.files or ()
        if ".dist-info/" in str(file) and file.name.lower().startswith(TEXTS)
    ]
    return Terms(name, installed.version, terms, tuple(text.strip() for text in texts if text))
