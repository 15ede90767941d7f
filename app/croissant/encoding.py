"""JSON that may stand in a page: what strangers wrote cannot end the script that it is in."""

import json

_ESCAPES = str.maketrans({letter: f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"})


def to_json(value: object) -> str:
    """Return a value as JSON in which nothing means anything to HTML."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).translate(_ESCAPES)
