"""PHP's `str_getcsv`, with which the server splits creators, contributors and ignored columns."""


def getcsv(text: str) -> list[str]:
    """Split one line at its commas.

    Between quotes a comma separates nothing, a doubled quote is one, and a backslash takes the next character with it:
    a quote behind it ends nothing, and the backslash stays. What follows the closing quote up to the comma is added as
    it is. A quote that is never closed goes on to the end.
    """
    fields: list[str] = []
    position = 0
    while position <= len(text):
        start = position
        while start < len(text) and text[start] in " \t\r\n\v\f":
            start += 1
        if start < len(text) and text[start] == '"':
            value, position = _quoted(text, start + 1)
            end = _comma(text, position)
            value += text[position:end]
        else:
            end = _comma(text, position)
            value = text[position:end].rstrip("\r\n")
        fields.append(value)
        position = end + 1
    return fields


def _comma(text: str, position: int) -> int:
    found = text.find(",", position)
    return len(text) if found < 0 else found


def _quoted(text: str, position: int) -> tuple[str, int]:
    """Return what stands between quotes, and where it goes on behind the second one."""
    value = ""
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            value += text[position : position + 2]
            position += 2
        elif character == '"' and text[position + 1 : position + 2] == '"':
            value += '"'
            position += 2
        elif character == '"':
            return value, position + 1
        else:
            value += character
            position += 1
    return value, position
