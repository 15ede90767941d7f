"""The files of datasets: where they lie, and their bytes."""

import re
from typing import BinaryIO, Final
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from app.openml import xml
from app.openml.connection import Connection
from app.openml.errors import RefusedError
from app.openml.fields import is_api_key
from app.openml.records import DatasetFile

NO_ACCESS: Final = frozenset({112, 275})
"""Error codes of a dataset that is not shown to everybody."""
_PATH = re.compile(
    r"data/(?:v1/)?download/[0-9]{1,18}(?:/[A-Za-z0-9._~%()+-]{1,255})?"
    r"|(?:minio/)?datasets/[0-9]{4}/[0-9]{4,18}/dataset_[0-9]{1,18}\.(?:pq|parquet|arff)"
)
"""Of files that OpenML's server keeps itself, or in the storage behind it."""
_SPLITS = re.compile(r"api_splits/get/[0-9]{1,18}/[A-Za-z0-9._-]{1,255}")
_MD5 = re.compile(r"[0-9a-f]{32}")


class DatasetFiles:
    """Files of datasets on OpenML's own server: no address of another one is ever asked."""

    def __init__(self, connection: Connection, *, site_url: str) -> None:
        self._connection = connection
        self._site_url = site_url

    async def locate(self, dataset_id: int, *, api_key: str | None) -> DatasetFile:
        """Return where a dataset's file lies; the key, if there is one, is sent for a private dataset.

        Raises:
            OpenMLError: as `Connection.read`; 112 for a private dataset of others.
        """
        path, root, what = f"data/{dataset_id}", "data_set_description", "description of the dataset"
        try:
            document = await self._connection.read(path, root, what=what)
        except RefusedError as error:
            if error.code not in NO_ACCESS or api_key is None or not is_api_key(api_key):
                raise
        else:
            return _read(dataset_id, document, private=False)
        document = await self._connection.read(path, root, what=what, form={"api_key": api_key})
        return _read(dataset_id, document, private=True)

    async def locate_splits(self, task_id: int) -> DatasetFile | None:
        """Return where the splits of a task lie; None if it has none.

        Raises:
            OpenMLError: as `Connection.read`; 151 for a task that does not exist.
        """
        document = await self._connection.read(f"task/{task_id}", "task", what="description of the task")
        found = (each for each in document.iter() if each.tag.rpartition("}")[2] == "data_splits_url")
        path = next((path_of(each.text or "", _SPLITS) for each in found), "")
        if not path:
            return None
        # What a task's rows are is settled when it is made, and has no checksum.
        return DatasetFile(
            task_id,
            f"splits of task {task_id}",
            path,
            f"splits-{task_id}",
            "ARFF",
            "",
            private=False,
            is_described=False,
        )

    async def fetch(
        self, file: DatasetFile, target: BinaryIO, *, limit_bytes: int, api_key: str | None
    ) -> str:
        """Write the bytes of a file to an open one, and return their MD5; the key is sent for a private dataset.

        Raises:
            OpenMLError: as `Connection.download`.
        """
        form = {"api_key": api_key} if file.private and api_key else None
        url = f"{self._site_url}{file.path}"
        return await self._connection.download(url, target, limit_bytes=limit_bytes, form=form)


def _read(dataset_id: int, document: Element, *, private: bool) -> DatasetFile:
    def text(name: str) -> str:
        return (xml.child_text(document, name) or "").strip()

    md5 = text("md5_checksum").lower()
    targets = text("default_target_attribute")
    return DatasetFile(
        dataset_id=dataset_id,
        name=text("name"),
        path=path_of(text("url")),
        md5=md5 if _MD5.fullmatch(md5) else "",
        format=text("format"),
        target=targets,
        private=private or text("visibility") not in {"", "public"},
    )


def path_of(url: str, kind: re.Pattern[str] = _PATH) -> str:
    """Return the path of an address that is one of OpenML's own files of this kind; else nothing."""
    try:
        path = urlsplit(url).path.lstrip("/")
    except ValueError:
        return ""
    return path if kind.fullmatch(path) else ""
