"""The two spellings of an international e-mail address: `ada@bücher.example` is `ada@xn--bcher-kva.example`."""

import idna


def spellings(text: str) -> tuple[str, str]:
    """Return an address with its domain in ASCII, and in its own script; what is no address twice as it is."""
    name, at, domain = text.rpartition("@")
    if not at or (domain.isascii() and "xn--" not in domain.lower()):
        return text, text
    try:
        in_ascii = idna.encode(domain, uts46=True).decode("ascii")
        in_script = idna.decode(in_ascii)
    except (idna.IDNAError, UnicodeError):
        return text, text
    return f"{name}@{in_ascii}", f"{name}@{in_script}"


def are_same(one: str, other: str) -> bool:
    """Say whether two texts are one address, in whichever case and spelling.

    Case is compared in ASCII spelling: folded, `straße.example` is `strasse.example`, which is somebody else's domain.
    """
    return spellings(one)[0].lower() == spellings(other)[0].lower()


def as_shown(text: str) -> str:
    """Return an address, or a user name that is one, as people read and type it; rows and mail servers have ASCII."""
    return spellings(text)[1]
