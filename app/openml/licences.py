"""Licences to choose from. OpenML takes any text of 64 ASCII characters; the first ones its SPA offers."""

from typing import NamedTuple


class Licence(NamedTuple):
    """A licence: what OpenML shows, its SPDX identifier where it has one, and where its text is."""

    name: str
    spdx: str | None
    url: str | None


_CREATIVE_COMMONS = "https://creativecommons.org/licenses"

LICENCES = (
    Licence("Public Domain (CC0)", "CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    Licence("Publicly available", None, None),
    Licence("Attribution (CC BY)", "CC-BY-4.0", f"{_CREATIVE_COMMONS}/by/4.0/"),
    Licence("Attribution-ShareAlike (CC BY-SA)", "CC-BY-SA-4.0", f"{_CREATIVE_COMMONS}/by-sa/4.0/"),
    Licence("Attribution-NoDerivs (CC BY-ND)", "CC-BY-ND-4.0", f"{_CREATIVE_COMMONS}/by-nd/4.0/"),
    Licence("Attribution-NonCommercial (CC BY-NC)", "CC-BY-NC-4.0", f"{_CREATIVE_COMMONS}/by-nc/4.0/"),
    Licence(
        "Attribution-NonCommercial-ShareAlike (CC BY-NC-SA)",
        "CC-BY-NC-SA-4.0",
        f"{_CREATIVE_COMMONS}/by-nc-sa/4.0/",
    ),
    Licence(
        "Attribution-NonCommercial-NoDerivs (CC BY-NC-ND)",
        "CC-BY-NC-ND-4.0",
        f"{_CREATIVE_COMMONS}/by-nc-nd/4.0/",
    ),
    Licence("PDDL 1.0", "PDDL-1.0", "https://opendatacommons.org/licenses/pddl/1-0/"),
    Licence("ODC-By 1.0", "ODC-By-1.0", "https://opendatacommons.org/licenses/by/1-0/"),
    Licence("ODbL 1.0", "ODbL-1.0", "https://opendatacommons.org/licenses/odbl/1-0/"),
    Licence("MIT", "MIT", "https://opensource.org/license/mit"),
    Licence("Apache 2.0", "Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
)
