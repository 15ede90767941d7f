"""The types of what rows of `uploads` hold as JSON: they have the fields of what clients send and are shown."""

from app.db.upload_values import Description, PublishedNames, UploadProgress
from app.uploads.metadata import DraftMetadata
from app.uploads.schemas import ProgressResponse


def test_description_when_typed_then_it_has_the_fields_of_the_metadata_and_the_published_names() -> None:
    assert set(Description.__annotations__) == {*DraftMetadata.model_fields, "published_names"}
    assert set(PublishedNames.__annotations__) < set(DraftMetadata.model_fields)


def test_progress_when_typed_then_it_is_what_clients_are_shown() -> None:
    assert set(UploadProgress.__annotations__) == set(ProgressResponse.model_fields)
