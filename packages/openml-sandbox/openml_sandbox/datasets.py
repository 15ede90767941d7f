"""The calls under `data/`: which there are, and those that read or change one dataset."""

from openml_sandbox import edit, listing, tags, upload
from openml_sandbox.answers import Answer, Node, leaf
from openml_sandbox.call import Call, Route, to_id
from openml_sandbox.errors import ApiError
from openml_sandbox.records import (
    Dataset,
    Feature,
    Processing,
    StoredFile,
    delete_dataset,
    delete_processing,
    get_dataset,
    get_descriptions,
    get_features,
    get_file,
    get_processing,
    get_qualities,
    get_tags,
    set_status,
    to_seconds,
)
from openml_sandbox.task_records import has_tasks

ENGINE_ID = 1

_FOLDER_MODULO = 10_000


def get_description(call: Call) -> Node:
    """Answer `GET data/{id}`."""
    if call.segments[0] == "0":
        raise ApiError(110)
    with call.store.transaction() as connection:
        dataset = get_dataset(connection, to_id(call.segments[0]))
        if dataset is None:
            raise ApiError(111)
        if not dataset.is_visible_to(call.user):
            raise ApiError(112)
        file = get_file(connection, dataset.file_id)
        if file is None:
            raise ApiError(113)
        version, text = get_descriptions(connection, dataset.id)[0]
        dataset_tags = get_tags(connection, "data", dataset.id)
        processing = get_processing(connection, dataset.id)
    children = [
        leaf("id", dataset.id),
        leaf("name", dataset.name),
        leaf("version", dataset.version),
        leaf("description", text),
        leaf("description_version", version),
        *_fields(dataset, call.settings.base_url),
        *(leaf("tag", tag) for tag in dataset_tags),
        *_state(dataset, file, processing),
    ]
    return Node("data_set_description", children)


def _fields(dataset: Dataset, base_url: str) -> list[Node]:
    url = f"{base_url}/data/v1/download/{dataset.file_id}/{dataset.name}.{dataset.format.lower()}"
    bucket = f"{dataset.id // _FOLDER_MODULO:04d}/{dataset.id:04d}"
    values: list[tuple[str, str]] = [
        ("format", dataset.format),
        *(("creator", name) for name in dataset.listed("creator")),
        *(("contributor", name) for name in dataset.listed("contributor")),
        ("collection_date", dataset.metadata.get("collection_date", "")),
        ("upload_date", to_seconds(dataset.upload_date).replace(" ", "T")),
        ("language", dataset.metadata.get("language", "")),
        ("licence", dataset.metadata.get("licence", "Public")),
        ("url", url),
        # The address is made up of the id, whether or not there is such a file; never for this spelling.
        (
            "parquet_url",
            ""
            if dataset.format == "Sparse_ARFF"
            else f"{base_url}/datasets/{bucket}/dataset_{dataset.id}.pq",
        ),
        ("file_id", str(dataset.file_id)),
        ("default_target_attribute", dataset.metadata.get("default_target_attribute", "")),
        ("row_id_attribute", dataset.metadata.get("row_id_attribute", "")),
        *(("ignore_attribute", name) for name in dataset.listed("ignore_attribute")),
        ("version_label", dataset.metadata.get("version_label", "")),
        ("citation", dataset.metadata.get("citation", "")),
    ]
    return [leaf(name, value) for name, value in values if value]


def _state(dataset: Dataset, file: StoredFile, processing: Processing | None) -> list[Node]:
    values = [
        ("visibility", dataset.visibility),
        ("original_data_url", dataset.metadata.get("original_data_url", "")),
        ("paper_url", dataset.metadata.get("paper_url", "")),
        ("status", dataset.status),
        ("processing_date", to_seconds(processing.processing_date) if processing else ""),
        ("error", (processing.error or "") if processing else ""),
        ("md5_checksum", file.md5),
    ]
    return [leaf(name, value) for name, value in values if value]


def get_data_features(call: Call) -> Node:
    """Answer `GET data/features/{id}`."""
    with call.store.transaction() as connection:
        dataset = get_dataset(connection, to_id(call.segments[1]))
        if dataset is None:
            raise ApiError(271)
        if not dataset.is_visible_to(call.user):
            raise ApiError(275)
        processing = get_processing(connection, dataset.id)
        if processing is None:
            raise ApiError(273)
        features = get_features(connection, dataset.id)
    if not features:
        raise ApiError(274 if processing.error else 272)
    return Node("data_features", [_feature(feature) for feature in features])


def _feature(feature: Feature) -> Node:
    def flag(name: str, value: bool) -> Node:  # noqa: FBT001 - the element's value
        return leaf(name, "true" if value else "false")

    return Node(
        "feature",
        [
            leaf("index", feature.position),
            leaf("name", feature.name),
            leaf("data_type", feature.data_type),
            *(leaf("nominal_value", value) for value in feature.nominal_values),
            flag("is_target", feature.is_target),
            flag("is_ignore", feature.is_ignore),
            flag("is_row_identifier", feature.is_row_identifier),
            leaf("number_of_missing_values", feature.missing_count),
        ],
    )


def get_data_qualities(call: Call) -> Node:
    """Answer `GET data/qualities/{id}` and `GET data/qualities/{id}/{engine}`."""
    if call.segments[1] == "0":
        raise ApiError(360)
    with call.store.transaction() as connection:
        dataset = get_dataset(connection, to_id(call.segments[1]))
        # Here, unlike elsewhere, a private dataset is as good as unknown.
        if dataset is None or not dataset.is_visible_to(call.user):
            raise ApiError(361)
        processing = get_processing(connection, dataset.id)
        if processing is None or call.segments[2:] not in {(), (str(ENGINE_ID),)}:
            raise ApiError(363)
        qualities = get_qualities(connection, dataset.id)
    if processing.error:
        raise ApiError(364, processing.error)
    if not qualities:
        raise ApiError(362)
    rows = [
        Node("quality", [leaf("name", name), leaf("value", "" if value is None else float(value))])
        for name, value in qualities.items()
    ]
    return Node("data_qualities", rows)


def list_qualities(call: Call) -> Node:
    """Answer `GET data/qualities/list`: the names that any dataset has a value of."""
    with call.store.transaction() as connection:
        names = [
            row["name"] for row in connection.execute("SELECT DISTINCT name FROM qualities ORDER BY name")
        ]
    if not names:
        raise ApiError(641)
    return Node("data_qualities_list", [leaf("quality", name) for name in names])


def list_descriptions(call: Call) -> Node:
    """Answer `GET data/description/list/{id}`; its template escapes nothing."""
    with call.store.transaction() as connection:
        versions = get_descriptions(connection, to_id(call.segments[2]) or 0)
    if not versions:
        raise ApiError(1090)
    return Node(
        "description_history",
        [
            Node("description_version", [leaf("version", version), Node("description", text, raw=True)])
            for version, text in versions
        ],
    )


def update_status(call: Call) -> Node:
    """Answer `POST data/status/update`."""
    status = call.field("status")
    if status not in {"active", "deactivated"}:
        raise ApiError(691)
    with call.store.transaction() as connection:
        dataset = get_dataset(connection, to_id(call.field("data_id")))
        if dataset is None:
            raise ApiError(692)
        if not dataset.may_be_changed_by(call.caller):
            raise ApiError(693)
        if status == "active" and not call.caller.is_admin:
            raise ApiError(696)
        # Nothing leads back to in_preparation, which is no legal status to ask for; all other ways are open.
        if status == dataset.status:
            raise ApiError(694)
        set_status(connection, dataset.id, status)
    return Node("data_status_update", [leaf("id", call.field("data_id")), leaf("status", status)])


def delete(call: Call) -> Node:
    """Answer `DELETE data/{id}`."""
    with call.store.transaction() as connection:
        dataset = get_dataset(connection, to_id(call.segments[0]))
        if dataset is None:
            raise ApiError(352)
        if not dataset.may_be_changed_by(call.caller):
            raise ApiError(353)
        if has_tasks(connection, dataset.id):
            raise ApiError(354)
        delete_dataset(connection, dataset.id)
    return Node("data_delete", [leaf("id", dataset.id)])


def reset(call: Call) -> Node:
    """Answer `POST data/reset/{id}`: the dataset is processed again."""
    with call.store.transaction() as connection:
        dataset = get_dataset(connection, to_id(call.segments[1]))
        if dataset is None:
            raise ApiError(1021)
        if not dataset.may_be_changed_by(call.caller):
            raise ApiError(1022)
        delete_processing(connection, dataset.id)
    return Node("data_reset", [leaf("id", dataset.id)])


def take_engine_result(call: Call) -> Answer:
    """Refuse what only an evaluation engine sends: the sandbox has its own, inside."""
    raise ApiError(101 if call.caller.is_admin else 106)


_READ = ("get", "post")
_WRITE = ("post",)

# The order matters where patterns overlap, and is the server's.
ROUTES = (
    Route((), "list/*", listing.list_datasets),
    Route(_READ, "#", get_description),
    Route(("delete",), "#", delete),
    Route(_WRITE, "reset/#", reset),
    Route(_WRITE, "", upload.upload),
    Route(_READ, "features/#", get_data_features),
    Route(_WRITE, "features", take_engine_result),
    Route(_READ, "qualities/list", list_qualities),
    Route(_READ, "qualities/#", get_data_qualities),
    Route(_READ, "qualities/#/#", get_data_qualities),
    Route(_WRITE, "qualities", take_engine_result),
    Route(_WRITE, "tag", tags.DATA.tag),
    Route(_WRITE, "untag", tags.DATA.untag),
    Route((), "tag/list", tags.DATA.list_all),
    Route((), "status/update", update_status),
    Route(_WRITE, "edit", edit.edit),
    Route(_WRITE, "fork", upload.fork),
    Route(_READ, "description/list/#", list_descriptions),
)
