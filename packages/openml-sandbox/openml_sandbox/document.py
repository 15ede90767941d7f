"""Reads an XML document into a small tree that keeps what the server looks at: prefixes and lines."""

from dataclasses import dataclass, field
from io import BytesIO
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, Locator

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import create_parser

# A description has some kilobytes; the tree of a much larger document would fill the memory.
LARGEST_BYTES = 1_000_000
# libxml2's own limit.
_LARGEST_DEPTH = 256

_XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"


class XmlSyntaxError(Exception):
    """The document is not well-formed, or declares entities."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass(slots=True)
class Element:
    """An element with its own text (of all its text nodes), its children and `(namespace, name)` -> value."""

    prefix: str
    name: str
    namespace: str
    line: int
    attributes: dict[tuple[str, str], str] = field(default_factory=dict)
    text: str = ""
    children: "list[Element]" = field(default_factory=list)

    @property
    def expanded(self) -> str:
        """The name as libxml2 prints it: `{namespace}name`."""
        return f"{{{self.namespace}}}{self.name}" if self.namespace else self.name

    def named(self, name: str) -> "list[Element]":
        """Find the children of a name, as SimpleXML's `children('oml', true)` does: by the prefix itself."""
        return [child for child in self.children if (child.prefix, child.name) == ("oml", name)]

    def texts(self, name: str) -> list[str]:
        """Read the children of a name."""
        return [child.text.strip() for child in self.named(name)]

    def text_of(self, name: str) -> str:
        """Read the first child of a name; empty if there is none."""
        return next(iter(self.texts(name)), "")


def parse(data: bytes) -> Element:
    """Parse a document.

    Raises:
        XmlSyntaxError: With libxml2's words where they are known.
    """
    if len(data) > LARGEST_BYTES:
        raise XmlSyntaxError("internal error: Huge input lookup")
    if not data.strip():
        raise XmlSyntaxError("Document is empty")
    builder = _Builder()
    # A document type is let through, as libxml2 does; entities and anything outside the document are not.
    parser = create_parser(forbid_dtd=False, forbid_entities=True, forbid_external=True)
    parser.setContentHandler(builder)
    try:
        parser.parse(BytesIO(data))
    except DefusedXmlException as error:
        raise XmlSyntaxError(
            "Internal error: xmlSchemaVDocWalk, there is at least one entity reference in the node-tree currently "
            "being validated. Processing of entities with this XML Schema processor is not supported (yet). An "
            "expansion of entities is needed before validating the instance document."
        ) from error
    except SAXParseException as error:
        raise builder.failure(error) from error
    return builder.root


class _Builder(ContentHandler):
    """Builds the tree from SAX events, resolving namespaces itself, since SAX drops prefixes if it does."""

    root: Element

    def __init__(self) -> None:
        super().__init__()
        self._is_started = False
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._scopes: list[dict[str, str]] = [{"": "", "xml": _XML_NAMESPACE}]
        self._locator: Locator | None = None

    def setDocumentLocator(self, locator: Locator) -> None:  # noqa: N802 - SAX's name
        self._locator = locator

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - SAX's name
        if len(self._open) >= _LARGEST_DEPTH:
            raise XmlSyntaxError(f"Excessive depth in document: {_LARGEST_DEPTH} use XML_PARSE_HUGE option")
        scope = self._scopes[-1] | _declarations(attrs)
        self._scopes.append(scope)
        self._is_started = True
        prefix, local, namespace = _resolve(name, scope)
        line = (self._locator.getLineNumber() or 0) if self._locator else 0
        element = Element(prefix, local, namespace, line)
        for attribute in attrs.getNames():
            if attribute != "xmlns" and not attribute.startswith("xmlns:"):
                # An attribute without a prefix is in no namespace, whatever the default one is.
                prefix, local, namespace = _resolve(attribute, scope | {"": ""})
                element.attributes[namespace, local] = attrs.getValue(attribute)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append([])

    def characters(self, content: str) -> None:
        # Comes in pieces; white space counts, since the types of the schemas keep it.
        self._texts[-1].append(content)

    def endElement(self, name: str) -> None:  # noqa: ARG002, N802 - SAX's name and signature
        self._open.pop().text = "".join(self._texts.pop())
        self._scopes.pop()

    def failure(self, error: SAXParseException) -> XmlSyntaxError:
        """Word a parser's complaint as libxml2 would."""
        message = str(error.getMessage())
        if not self._is_started:
            message = "Start tag expected, '<' not found"
        elif self._open and message.startswith("mismatched tag"):
            element = self._open[-1]
            message = f"Opening and ending tag mismatch: {element.name} line {element.line}"
        elif self._open and message.startswith(("no element found", "unclosed token")):
            element = self._open[-1]
            message = f"Premature end of data in tag {element.name} line {element.line}"
        return XmlSyntaxError(message, error.getLineNumber() or 0, (error.getColumnNumber() or 0) + 1)


def _declarations(attrs: AttributesImpl) -> dict[str, str]:
    return {
        name.partition(":")[2]: attrs.getValue(name)
        for name in attrs.getNames()
        if name == "xmlns" or name.startswith("xmlns:")
    }


def _resolve(name: str, scope: dict[str, str]) -> tuple[str, str, str]:
    prefix, separator, local = name.rpartition(":")
    if prefix not in scope:
        # libxml2 reports an undeclared prefix and goes on with the whole name.
        return "", name, ""
    return prefix, local if separator else name, scope[prefix]
