"""`POST data/edit`."""

from openml_sandbox.answers import Answer, Node, error_document, leaf
from openml_sandbox.call import Call, to_id
from openml_sandbox.document import Element
from openml_sandbox.errors import ApiError
from openml_sandbox.records import add_description, get_dataset, set_metadata
from openml_sandbox.schema import EDIT, XmlInvalidError, validate
from openml_sandbox.task_records import has_tasks
from openml_sandbox.upload import EMPTY_FILE

_CRITICAL = ("default_target_attribute", "row_id_attribute", "ignore_attribute")


def edit(call: Call) -> Node | Answer:
    """Answer the call: any writer may change most fields, the owner the critical ones."""
    text = call.field("edit_parameters")
    file = call.form.files.get("edit_parameters")
    if text:
        data = text.encode()
    elif file:
        data = file.read_document() if file.size else b""
    else:
        raise ApiError(1061)
    try:
        changes = _changes(validate(data, EDIT))
    except XmlInvalidError as error:
        refusal = ApiError(1060, str(error))
        if data:
            raise refusal from error
        # The server complains about the empty file, forgets to stop, and complains about what is in it.
        first = error_document(ApiError(1061, EMPTY_FILE), call.format)
        return first.followed_by(error_document(refusal, call.format))
    return _apply(call, changes)


def _changes(xml: Element) -> dict[str, str]:
    """Read the fields; of repeated ones the last wins. An empty one clears, where the schema lets it be empty."""
    fields = {particle.name: xml.texts(particle.name) for particle in EDIT.particles}
    return {name: values[-1] for name, values in fields.items() if values}


def _apply(call: Call, changes: dict[str, str]) -> Node:
    if not call.field("data_id"):
        raise ApiError(1062)
    with call.store.transaction() as connection:
        dataset = get_dataset(connection, to_id(call.field("data_id")))
        if dataset is None:
            raise ApiError(1063)
        # That there is something to change is asked only now, behind the dataset.
        if not changes:
            raise ApiError(1064)
        if changes.keys() & set(_CRITICAL):
            if not dataset.may_be_changed_by(call.caller):
                raise ApiError(1065)
            if has_tasks(connection, dataset.id):
                raise ApiError(1066)
        description = changes.pop("description", None)
        if description is not None:
            add_description(connection, dataset.id, description)
        # The flags of the features stay as they are until the dataset is reset and processed again.
        set_metadata(connection, dataset.id, dataset.metadata | changes)
    return Node("data_edit", [leaf("id", dataset.id)])
