"""What each page of the catalogue shows, asked of the index."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from app.core.settings import Settings
from app.core.shares import Subject
from app.croissant.encoding import to_json
from app.croissant.metadata import TaskSplits
from app.croissant.published import describe_published
from app.index.catalogue import Filters, Results
from app.index.engine import IndexUnavailableError, SearchIndex
from app.published.service import PublishedFiles
from app.web.catalogue import reuse
from app.web.catalogue.contents import WantedPart, find_contents
from app.web.catalogue.documents import (
    Dataset,
    Person,
    ShownCollection,
    ShownProcedure,
    Task,
    read_collection,
    read_dataset,
    read_person,
    read_procedure,
    read_task,
)
from app.web.catalogue.query import KINDS, SORTS_OF, TARGETS, Query, choices, chosen

T = TypeVar("T")
FORMATS: Final = {"csv": "CSV", "parquet": "Parquet", "feather": "Feather", "jsonl": "JSON lines"}
"""Which `GET /datasets/ID/download` makes of a file."""
NEWEST: Final = 6
COLLECTIONS_NAMED: Final = 10
MOST_SPLITS: Final = 10
"""Tasks of which a Croissant description tells the splits."""
PROCEDURES: Final = 100
READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Dataset | Task | ShownCollection | Person]]] = {
    "data": read_dataset,
    "task": read_task,
    "study": read_collection,
    "user": read_person,
}
Context = dict[str, object]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The index as one visitor may see it.

    Attributes:
        index: of this machine.
        settings: of this service.
        viewer_id: who looks; None: nobody who signed in.
        asker: the networks that ask.
        is_read_here: whether this site passes on OpenML's REST API.
        passes_files_on: whether it passes on its files.
        published: what is kept of datasets' files.
    """

    index: SearchIndex
    settings: Settings
    viewer_id: int | None
    asker: Subject
    is_read_here: bool
    passes_files_on: bool
    published: PublishedFiles

    async def start(self) -> Context:
        """Return what the start page shows; without counts where the index does not answer."""
        try:
            counts = await self.index.counts()
            newest = await self.find(kind="data", filters=Filters(status="active"), sort="newest")
        except IndexUnavailableError:
            return {"counts": None, "newest": []}
        return {"counts": counts, "newest": [read_dataset(each) for each in newest.documents[:NEWEST]]}

    async def search(self, query: Query) -> Context:
        """Return what the search page shows.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        results = await self.find(
            query.text, kind=query.kind, filters=query.filters, sort=query.sort, page=query.page
        )
        return {
            "query": query,
            "kinds": KINDS,
            "sorts": SORTS_OF[query.kind],
            "targets": TARGETS,
            "results": results,
            "found": [READERS[query.kind](document) for document in results.documents],
            "choices": choices(query, results.facets),
            "chosen": chosen(query),
        }

    async def dataset(self, number: str, asked: WantedPart) -> Context | None:
        """Return what the page of a dataset shows; None if there is none that the viewer may see.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        document = await self._get("data", number)
        if document is None:
            return None
        dataset = self._read_dataset(document)
        versions = await self.find(kind="data", filters=Filters(exact_name=str(document.get("name") or "")))
        tasks = await self.find(kind="task", filters=Filters(data_id=dataset.id))
        address = f"{self.settings.site_url}/d/{dataset.id}"
        file = reuse.file_address(
            dataset,
            openml_url=self.settings.openml_url,
            site_url=self.settings.site_url,
            passes_files_on=self.passes_files_on,
        )
        return {
            "dataset": dataset,
            "address": address,
            "file": file,
            "versions": _others(versions, dataset),
            "tasks": [read_task(task) for task in tasks.documents],
            "task_count": tasks.total,
            "procedures": await self._procedures(),
            "suited": _suited(dataset),
            "collections": await self._collections(dataset.collections),
            "snippets": reuse.snippets(dataset, server=self._server, file=file),
            "bibtex": reuse.bibtex(dataset, address=address),
            "structured": reuse.structured_data(dataset, address=address, file=file),
            "contents": await find_contents(dataset, asked, self.published, self.run),
            "formats": FORMATS,
        }

    async def croissant(self, number: str) -> bytes | None:
        """Return the Croissant description of a dataset as JSON; None if there is none that the viewer may see.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        document = await self._get("data", number)
        if document is None:
            return None
        tasks = await self.find(kind="task", filters=Filters(data_id=int(number)))
        return await self.run(self._croissant, document, [read_task(task) for task in tasks.documents])

    def _croissant(self, document: Mapping[str, Any], tasks: list[Task]) -> bytes:
        dataset, site = self._read_dataset(document), self.settings.site_url
        page = f"{site}/d/{dataset.id}"
        file = reuse.file_address(
            dataset,
            openml_url=self.settings.openml_url,
            site_url=site,
            passes_files_on=self.passes_files_on,
        )
        made = describe_published(
            {
                **document,
                "citation": dataset.citation or reuse.bibtex(dataset, address=page),
                "licence": dataset.licence_url or dataset.licence,
            },
            page=page,
            file=file,
            is_parquet=dataset.is_parquet,
            parquet=dataset.parquet,
            splits=[
                TaskSplits(task.id, task.procedure, f"{site}/tasks/{task.id}/splits?format=csv")
                for task in tasks
                if task.has_splits and not dataset.is_private
            ][:MOST_SPLITS],
        )
        return to_json(made).encode()

    async def task(self, number: str) -> Context | None:
        """Return what the page of a task shows; None if there is none.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        document = await self._get("task", number)
        if document is None:
            return None
        task = read_task(document)
        dataset = await self._get("data", str(task.dataset_id)) if task.dataset_id else None
        return {
            "task": task,
            "dataset": read_dataset(dataset) if dataset else None,
            "address": f"{self.settings.site_url}/t/{task.id}",
            "snippets": reuse.task_snippets(task.id, server=self._server),
            "collections": await self._collections(task.collections),
        }

    async def collection(self, number: str) -> Context | None:
        """Return what the page of a collection shows; None if there is none that the viewer may see.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        document = await self._get("study", number)
        if document is None:
            return None
        study = read_collection(document)
        filters = Filters(study_id=study.id)
        tasks = await self.find(kind="task", filters=filters)
        datasets = await self.find(kind="data", filters=filters)
        return {
            "collection": study,
            "address": f"{self.settings.site_url}/s/{study.id}",
            "snippets": reuse.collection_snippets(study.id, study.type, server=self._server),
            "tasks": [read_task(task) for task in tasks.documents],
            "task_count": tasks.total,
            "datasets": [read_dataset(each) for each in datasets.documents],
            "dataset_count": datasets.total,
        }

    async def person(self, number: str) -> Context | None:
        """Return what the page of a user shows; None if there is none.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        document = await self._get("user", number)
        if document is None:
            return None
        person = read_person(document)
        datasets = await self.find(kind="data", filters=Filters(uploader_id=person.id), sort="newest")
        studies = await self.find(kind="study", filters=Filters(uploader_id=person.id), sort="newest")
        return {
            "person": person,
            "address": f"{self.settings.site_url}/u/{person.id}",
            "datasets": [read_dataset(each) for each in datasets.documents],
            "dataset_count": datasets.total,
            "collections": [read_collection(each) for each in studies.documents],
        }

    async def find(
        self,
        text: str = "",
        *,
        kind: str,
        filters: Filters,
        sort: str = "",
        page: int = 1,
    ) -> Results:
        """Return a page of what the viewer may see.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        return await self.index.find(
            text,
            kind=kind,
            filters=filters,
            sort=sort,
            page=page,
            viewer_id=self.viewer_id,
            asker=self.asker,
        )

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Compute something in the index's threads, whose queue ends."""
        return await self.index.executor.run(function, *arguments)

    def _read_dataset(self, document: Mapping[str, Any]) -> Dataset:
        """Return what is shown of a dataset; as Parquet we have it ourselves where the OpenML server has not."""
        dataset = read_dataset(document)
        if self._is_official and dataset.parquet:
            return dataset
        # Other servers name such a file as well, and do not have it.
        made = f"{self.settings.site_url}/datasets/{dataset.id}/download?format=parquet"
        return replace(dataset, parquet=made)

    @property
    def _server(self) -> str:
        """The root of the server whose REST API programs are to ask."""
        return (
            f"{self.settings.site_url}/"
            if self.is_read_here and not self._is_official
            else self.settings.openml_url
        )

    @property
    def _is_official(self) -> bool:
        return self.settings.openml_url == reuse.OPENML

    def _get(self, kind: str, number: str) -> Awaitable[dict[str, Any] | None]:
        return self.index.get(kind, str(int(number)), viewer_id=self.viewer_id, asker=self.asker)

    async def _procedures(self) -> list[ShownProcedure]:
        """Return how tasks of the offered kinds may be measured."""
        question = {
            "size": PROCEDURES,
            "query": {"term": {"measure_type": "estimation_procedure"}},
            "sort": [{"proc_id": {"order": "asc"}}],
        }
        answer = await self.index.search(("measure",), question, asker=self.asker)
        found = (read_procedure(hit["_source"]) for hit in answer["hits"]["hits"])
        return [each for each in found if each is not None]

    async def _collections(self, numbers: list[int]) -> list[ShownCollection]:
        found = [await self._get("study", str(number)) for number in numbers[:COLLECTIONS_NAMED]]
        return [read_collection(document) for document in found if document]


def _suited(dataset: Dataset) -> str:
    """Return the kind of task that fits the target."""
    types = {feature.name: feature.type for feature in dataset.features}
    if not dataset.target:
        return "clustering"
    return "regression" if types.get(dataset.target) == "numeric" else "classification"


def _others(versions: Results, dataset: Dataset) -> list[Dataset]:
    found = [read_dataset(each) for each in versions.documents]
    same = (each for each in found if each.id != dataset.id and each.name == dataset.name)
    return sorted(same, key=lambda each: each.id, reverse=True)
