"""Files in, ARFF out: what every test of tabular needs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import arff
import pytest

from app.tabular import Conversion, ConversionRequest, format_of
from app.tabular.convert import convert


@dataclass(frozen=True)
class Converted:
    """A conversion, the ARFF text, and what liac-arff makes of it."""

    conversion: Conversion
    text: str

    def __getitem__(self, name: str) -> tuple[Any, list[Any]]:
        """Return the type and the values of a column as liac-arff reads them."""
        document = arff.loads(self.text)
        names = [each for each, _ in document["attributes"]]
        index = names.index(name)
        return document["attributes"][index][1], [row[index] for row in document["data"]]

    @property
    def rows(self) -> list[str]:
        return self.text.split("@DATA\n")[1].splitlines()


Converter = Callable[..., Converted]


@pytest.fixture
def converter(tmp_path: Path) -> Converter:
    """Convert text or bytes; `kind` is what the file's name ends in, keyword arguments go into the request."""

    def run(content: str | bytes, *, kind: str = "csv", **fields: Any) -> Converted:
        source, target = tmp_path / "in", tmp_path / "out.arff"
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
        name = format_of(f"table.{kind}")
        assert name is not None
        request: dict[str, Any] = {"format": name.format, "compression": name.compression, **fields}
        request = {"relation": "table", "target_attributes": (), **request}
        conversion = convert(ConversionRequest(source=source, target=target, **request))
        return Converted(conversion, target.read_text(encoding="utf-8"))

    return run
