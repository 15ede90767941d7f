"""What a table's character set can hold. OpenML's is latin1, and keeps `?` for what it has no place for."""

LAST_OF_THREE_BYTES = 0xFFFF


def first_unstorable(text: str, charset: str) -> str | None:
    """Return the first character of the text that the character set lacks."""
    return next((character for character in text if not _is_storable(character, charset)), None)


def _is_storable(character: str, charset: str) -> bool:
    if charset == "utf8mb3":
        return ord(character) <= LAST_OF_THREE_BYTES
    try:
        character.encode(charset)
    except UnicodeEncodeError:
        return False
    return True
