"""The XML schemas that calls validate against, as tables, and a validator for them.

The tables hold what `openml.data.upload.xsd`, `openml.data.edit.xsd`, `openml.task.upload.xsd` and
`openml.study.upload.xsd` say; `run_schemas` has those of flows and runs. They are small: a sequence of elements, each
simple or a sequence itself. `xsd()` writes them out as XML Schema, `validate()` checks a document and words its
complaints as libxml2 does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from openml_sandbox.answers import NAMESPACE
from openml_sandbox.document import Element, XmlSyntaxError, parse
from openml_sandbox.xsd_types import (
    CASUAL_64,
    CASUAL_128,
    CASUAL_1024,
    DATE_TIME,
    ENTITY_TYPE,
    INT,
    INTEGER,
    LATIN_64,
    LATIN_128,
    LATIN_256,
    LATIN_1024,
    LATIN_4096,
    LATIN_16384,
    STRING,
    SYSTEM,
    SYSTEM_32,
    SYSTEM_64,
    URI,
    VISIBILITY,
    BuiltInType,
    Type,
)

XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True, slots=True)
class Group:
    """The type of an element that holds a sequence of others, which may hold such an element again."""

    name: str
    members: "Callable[[], tuple[Particle, ...]]"
    attributes: tuple[tuple[str, Type], ...] = ()

    @property
    def particles(self) -> "tuple[Particle, ...]":
        """The sequence inside."""
        return self.members()

    def xsd(self) -> str:
        """Write the type's definition."""
        inside = "".join(particle.xsd() for particle in self.particles)
        attributes = "".join(_attribute_xsd(*attribute) for attribute in self.attributes)
        return (
            f'  <xs:complexType name="{self.name}"><xs:sequence>\n{inside}  </xs:sequence>'
            f"{attributes}</xs:complexType>\n"
        )


def ids(name: str, child: str) -> Group:
    """Return the type of an element that holds ids: one child element after another."""
    return Group(name, lambda: (Particle(child, INT, required=True, many=True),))


@dataclass(frozen=True, slots=True)
class Particle:
    """One element of the sequence: optional unless `required`, once unless `many`; may have one attribute."""

    name: str
    type: Type | Group
    required: bool = False
    many: bool = False
    attribute: tuple[str, Type] | None = None

    def xsd(self) -> str:
        """Write the element's declaration."""
        least = "" if self.required else ' minOccurs="0"'
        most = ' maxOccurs="unbounded"' if self.many else ""
        start = f'      <xs:element name="{self.name}"'
        if self.attribute is None:
            return f'{start} type="{_reference(self.type)}"{least}{most}/>\n'
        name, kind = self.attribute
        return (
            f"{start}{least}{most}><xs:complexType><xs:simpleContent>"
            f'<xs:extension base="{_reference(self.type)}">{_attribute_xsd(name, kind)}'
            "</xs:extension></xs:simpleContent></xs:complexType></xs:element>\n"
        )


def _reference(kind: Type | Group) -> str:
    return kind.name if isinstance(kind, BuiltInType) else f"oml:{kind.name}"


def _attribute_xsd(name: str, kind: Type) -> str:
    return f'<xs:attribute name="{name}" type="{_reference(kind)}"/>'


def _named_types(particles: Sequence[Particle], found: dict[str, Type | Group]) -> dict[str, Type | Group]:
    """Collect the types that the particles use, and those that these use."""
    for particle in particles:
        attributes = [particle.attribute] if particle.attribute else []
        if isinstance(particle.type, Group):
            attributes += particle.type.attributes
        found |= {kind.name: kind for _, kind in attributes}
        if particle.type.name not in found:
            found[particle.type.name] = particle.type
            if isinstance(particle.type, Group):
                _named_types(particle.type.particles, found)
    return found


@dataclass(frozen=True, slots=True)
class Schema:
    """A root element that holds a sequence of elements."""

    root: str
    particles: tuple[Particle, ...]

    def xsd(self) -> str:
        """Write the schema as XML Schema."""
        types = _named_types(self.particles, {})
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

TASK = Schema(
    "task_inputs",
    (
        Particle("task_id", INTEGER),
        Particle("task_type_id", INTEGER, required=True),
        Particle("input", STRING, required=True, many=True, attribute=("name", SYSTEM)),
        Particle("tag", SYSTEM, many=True),
    ),
)

STUDY = Schema(
    "study",
    (
        Particle("id", INT),
        Particle("alias", SYSTEM_32),
        Particle("main_entity_type", ENTITY_TYPE, required=True),
        Particle("benchmark_suite", INT),
        Particle("name", LATIN_256, required=True),
        Particle("description", LATIN_4096),
        # Ignored as the next two are; what the real schema asks of it is not on record.
        Particle("status", SYSTEM_64),
        Particle("creation_date", DATE_TIME),
        Particle("creator", INT),
        Particle("data", ids("data", "data_id")),
        Particle("tasks", ids("tasks", "task_id")),
        Particle("flows", ids("flows", "flow_id")),
        Particle("setups", ids("setups", "setup_id")),
        Particle("runs", ids("runs", "run_id")),
    ),
)

SCHEMAS = {
    "openml.data.upload": UPLOAD,
    "openml.data.edit": EDIT,
    "openml.task.upload": TASK,
    "openml.study.upload": STUDY,
}


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
    yield from _group_complaints(root, schema.particles)


def _group_complaints(
    element: Element, particles: Sequence[Particle], attributes: Sequence[tuple[str, Type]] = ()
) -> Iterator[Complaint]:
    yield from _attribute_complaints(element, attributes)
    if element.text.strip(" \t\r\n"):
        reason = "Character content other than whitespace is not allowed because the content type is 'element-only'."
        yield element.line, f"Element '{element.expanded}': {reason}"
    yield from _sequence_complaints(element, particles)


def _sequence_complaints(root: Element, particles: Sequence[Particle]) -> Iterator[Complaint]:
    expected = list(particles)
    for child in root.children:
        step = _position_of(child, expected)
        if step is None:
            yield (
                child.line,
                f"Element '{child.expanded}': This element is not expected.{_expected(expected)}",
            )
            # libxml2 looks at nothing behind the first element that is out of place.
            return
        found = expected[step]
        yield from _content_complaints(child, found)
        # An element that may be repeated stays expected, but is missed no more.
        expected = [replace(found, required=False)] * found.many + expected[step + 1 :]
    if any(particle.required for particle in expected):
        yield root.line, f"Element '{root.expanded}': Missing child element(s).{_expected(expected)}"


def _position_of(child: Element, particles: Sequence[Particle]) -> int | None:
    for index, particle in enumerate(particles):
        if (child.namespace, child.name) == (NAMESPACE, particle.name):
            return index
        if particle.required:
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


def _content_complaints(element: Element, particle: Particle) -> Iterator[Complaint]:
    if isinstance(particle.type, Group):
        yield from _group_complaints(element, particle.type.particles, particle.type.attributes)
        return
    yield from _attribute_complaints(element, (particle.attribute,) if particle.attribute else ())
    if element.children:
        reason = (
            "the type definition is simple"
            if particle.attribute is None
            else "the content type is a simple type definition"
        )
        yield (
            element.line,
            f"Element '{element.expanded}': Element content is not allowed, because {reason}.",
        )
    for text in particle.type.complaints(element.text):
        yield element.line, f"Element '{element.expanded}': {text}"


def _attribute_complaints(element: Element, allowed: Sequence[tuple[str, Type]] = ()) -> Iterator[Complaint]:
    kinds = dict(allowed)
    for (namespace, name), value in element.attributes.items():
        expanded = f"{{{namespace}}}{name}" if namespace else name
        where = f"Element '{element.expanded}', attribute '{expanded}'"
        if expanded in kinds:
            for text in kinds[expanded].complaints(value):
                yield element.line, f"{where}: {text}"
        elif namespace != XSI:
            yield element.line, f"{where}: The attribute '{expanded}' is not allowed."
