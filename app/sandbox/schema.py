"""The two XML schemas that the data calls validate against, as tables, and a validator for them.

The tables hold what `openml.data.upload.xsd` and `openml.data.edit.xsd` say. They are small: one sequence of
simple elements each. `xsd()` writes them out as XML Schema, `validate()` checks a document and words its
complaints as libxml2 does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.sandbox.answers import NAMESPACE
from app.sandbox.document import Element, XmlSyntaxError, parse
from app.sandbox.xsd_types import (
    CASUAL_64,
    CASUAL_128,
    CASUAL_1024,
    DATE_TIME,
    INT,
    LATIN_64,
    LATIN_128,
    LATIN_1024,
    LATIN_16384,
    SYSTEM_64,
    URI,
    VISIBILITY,
    BuiltInType,
    Type,
)

XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True, slots=True)
class Particle:
    """One element of the sequence: optional unless `required`, once unless `many`."""

    name: str
    type: Type
    required: bool = False
    many: bool = False

    def xsd(self) -> str:
        """Write the element's declaration."""
        prefix = "" if isinstance(self.type, BuiltInType) else "oml:"
        least = "" if self.required else ' minOccurs="0"'
        most = ' maxOccurs="unbounded"' if self.many else ""
        return f'      <xs:element name="{self.name}" type="{prefix}{self.type.name}"{least}{most}/>\n'


@dataclass(frozen=True, slots=True)
class Schema:
    """A root element that holds a sequence of simple elements."""

    root: str
    particles: tuple[Particle, ...]

    def xsd(self) -> str:
        """Write the schema as XML Schema."""
        types = {particle.type.name: particle.type for particle in self.particles}
        definitions = "".join(kind.xsd() for kind in types.values() if not isinstance(kind, BuiltInType))
        return (
            f'<xs:schema targetNamespace="{NAMESPACE}" xmlns:oml="{NAMESPACE}"\n'
            '    xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">\n'
            f'  <xs:element name="{self.root}">\n    <xs:complexType><xs:sequence>\n'
            f"{''.join(particle.xsd() for particle in self.particles)}"
            f"    </xs:sequence></xs:complexType>\n  </xs:element>\n{definitions}</xs:schema>\n"
        )


UPLOAD = Schema(
    "data_set_description",
    (
        Particle("id", INT),
        Particle("name", CASUAL_128, required=True),
        Particle("version", SYSTEM_64),
        Particle("description", LATIN_16384, required=True),
        Particle("description_version", SYSTEM_64),
        Particle("format", CASUAL_64, required=True),
        Particle("creator", LATIN_128, many=True),
        Particle("contributor", LATIN_128, many=True),
        Particle("collection_date", LATIN_128),
        Particle("upload_date", DATE_TIME),
        Particle("language", CASUAL_128),
        Particle("licence", LATIN_64),
        Particle("url", URI),
        Particle("file_id", INT),
        Particle("default_target_attribute", CASUAL_1024),
        Particle("row_id_attribute", CASUAL_128),
        Particle("ignore_attribute", CASUAL_128, many=True),
        Particle("version_label", CASUAL_128),
        Particle("citation", LATIN_1024),
        Particle("tag", SYSTEM_64, many=True),
        Particle("visibility", VISIBILITY),
        Particle("original_data_url", URI),
        Particle("paper_url", URI),
        Particle("update_comment", LATIN_128),
        Particle("status", SYSTEM_64),
        Particle("processing_date", LATIN_1024),
        Particle("error", LATIN_1024),
        Particle("warning", LATIN_1024),
        Particle("md5_checksum", SYSTEM_64),
    ),
)

EDIT = Schema(
    "data_edit_parameters",
    (
        Particle("description", LATIN_16384),
        Particle("creator", LATIN_128, many=True),
        Particle("contributor", LATIN_128, many=True),
        Particle("collection_date", LATIN_128),
        Particle("language", CASUAL_128),
        Particle("default_target_attribute", CASUAL_1024),
        Particle("row_id_attribute", CASUAL_128),
        Particle("ignore_attribute", CASUAL_128, many=True),
        Particle("citation", LATIN_1024),
        Particle("original_data_url", URI),
        Particle("paper_url", URI),
    ),
)

SCHEMAS = {"openml.data.upload": UPLOAD, "openml.data.edit": EDIT}


class XmlInvalidError(Exception):
    """The document does not follow its schema; the text is what the server sends as additional information."""


def validate(data: bytes, schema: Schema) -> Element:
    """Parse a document and check it.

    Raises:
        XmlInvalidError: With libxml2-like complaints.
    """
    try:
        root = parse(data)
    except XmlSyntaxError as error:
        complaint = f"{error}\n"
        raise XmlInvalidError(
            f"{complaint}. XML does not correspond to XSD schema. Error {complaint} on line {error.line} "
            f"column {error.column}. "
        ) from error
    complaints = list(_complaints(root, schema))
    if complaints:
        listed = "".join(f"Error {text}\n on line {line} column 0. " for line, text in complaints)
        raise XmlInvalidError(f"XML does not correspond to XSD schema. {listed}")
    return root


Complaint = tuple[int, str]

_NAMES_SHOWN = 10  # libxml2 names no more of the elements that it expected


def _complaints(root: Element, schema: Schema) -> Iterator[Complaint]:
    where = f"Element '{root.expanded}'"
    if (root.namespace, root.name) != (NAMESPACE, schema.root):
        yield root.line, f"{where}: No matching global declaration available for the validation root."
        return
    yield from _attribute_complaints(root)
    if root.text.strip(" \t\r\n"):
        reason = "Character content other than whitespace is not allowed because the content type is 'element-only'."
        yield root.line, f"{where}: {reason}"
    yield from _sequence_complaints(root, schema.particles)


def _sequence_complaints(root: Element, particles: Sequence[Particle]) -> Iterator[Complaint]:
    position = 0
    for child in root.children:
        step = _position_of(child, particles, position)
        if step is None:
            expected = _expected(particles[position:])
            yield child.line, f"Element '{child.expanded}': This element is not expected.{expected}"
            # libxml2 looks at nothing behind the first element that is out of place.
            return
        yield from _content_complaints(child, particles[step].type)
        # An element that may be repeated stays expected.
        position = step if particles[step].many else step + 1
    if any(particle.required for particle in particles[position:]):
        expected = _expected(particles[position:])
        yield root.line, f"Element '{root.expanded}': Missing child element(s).{expected}"


def _position_of(child: Element, particles: Sequence[Particle], start: int) -> int | None:
    for index in range(start, len(particles)):
        if (child.namespace, child.name) == (NAMESPACE, particles[index].name):
            return index
        if particles[index].required:
            return None
    return None


def _expected(particles: Sequence[Particle]) -> str:
    names = []
    for particle in particles:
        names.append(f"{{{NAMESPACE}}}{particle.name}")
        if particle.required:
            break
    if not names:
        return ""
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f" Expected is {'one of ' if len(names) > 1 else ''}( {shown} )."


def _content_complaints(element: Element, kind: Type) -> Iterator[Complaint]:
    yield from _attribute_complaints(element)
    if element.children:
        yield (
            element.line,
            f"Element '{element.expanded}': Element content is not allowed, because the type definition is simple.",
        )
    for text in kind.complaints(element.text):
        yield element.line, f"Element '{element.expanded}': {text}"


def _attribute_complaints(element: Element) -> Iterator[Complaint]:
    for namespace, name in element.attributes:
        if namespace != XSI:
            expanded = f"{{{namespace}}}{name}" if namespace else name
            yield (
                element.line,
                f"Element '{element.expanded}', attribute '{expanded}': The attribute '{expanded}' is not allowed.",
            )
