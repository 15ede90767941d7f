"""How a dataset is used elsewhere: loaded by programs, cited, and described for search engines."""

import re
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from markupsafe import Markup

from app.croissant.encoding import to_json
from app.web.catalogue.documents import Dataset

OPENML: str = "https://www.openml.org/"
DOWNLOAD = re.compile(r"/data/(?:v1/)?download/[0-9]{1,18}(?:/[^/\\\x00-\x1f\x7f]{1,255})?")
_BIBTEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{character: f"\\{character}" for character in "{}%#$&_"},
    }
)


class Snippet(NamedTuple):
    """Code that loads a dataset, in one language."""

    language: str
    code: str


def file_address(dataset: Dataset, *, openml_url: str, site_url: str, passes_files_on: bool) -> str:
    """Return where the file is downloaded: from here, where we pass on what the OpenML server has; empty: nowhere."""
    parts = urlsplit(dataset.file)
    is_openml = parts.netloc == urlsplit(openml_url).netloc
    if passes_files_on and is_openml and DOWNLOAD.fullmatch(parts.path):
        return f"{site_url}{quote(parts.path, safe='/~:_(),=@!$&+;-.%')}"
    return dataset.file


def snippets(dataset: Dataset, *, server: str, file: str) -> list[Snippet]:
    """Return code that loads a dataset.

    Args:
        dataset: the dataset.
        server: root of the REST API's server, with a slash at the end.
        file: where the file is.
    """
    is_official = server == OPENML
    found = [
        _python(
            server,
            f"dataset = openml.datasets.get_dataset({dataset.id})\ntable, _, _, _ = dataset.get_data()",
        ),
        _r(server, f"dataset <- odt({dataset.id})\ntable <- dataset$data"),
    ]
    if is_official:
        found.append(
            Snippet("Julia", f"using OpenML, DataFrames\n\ntable = OpenML.load({dataset.id}) |> DataFrame")
        )
    elif _is_quotable(file):
        julia = (
            "using ARFFFiles, DataFrames, Downloads\n\n"
            f'table = ARFFFiles.load(DataFrame, Downloads.download("{file}"))'
        )
        if dataset.is_parquet:
            julia = (
                "using DataFrames, Downloads, Parquet2\n\n"
                f'table = DataFrame(Parquet2.Dataset(Downloads.download("{file}")))'
            )
        found.append(Snippet("Julia", julia))
    java = f"DataSetDescription dataset = openml.dataGet({dataset.id});\nFile table = openml.datasetGet(dataset);"
    found.append(_java(server, java))
    ending = "parquet" if dataset.is_parquet else "arff"
    if _is_quotable(file):
        found.append(Snippet("Command line", f"curl --location --output {dataset.id}.{ending} '{file}'"))
    return found


def task_snippets(task_id: int, *, server: str) -> list[Snippet]:
    """Return code that loads a task."""
    return [
        _python(server, f"task = openml.tasks.get_task({task_id})\nX, y = task.get_X_and_y()"),
        _r(server, f"task <- otsk({task_id})\ntable <- task$data$data"),
        _java(server, f"Task task = openml.taskGet({task_id});"),
        Snippet("Command line", f"curl '{server}api/v1/json/task/{task_id}'"),
    ]


def collection_snippets(study_id: int, kind: str, *, server: str) -> list[Snippet]:
    """Return code that loads a collection of tasks, or of runs."""
    python = f"suite = openml.study.get_suite({study_id})\ntasks = suite.tasks"
    if kind == "run":
        python = f"study = openml.study.get_study({study_id})\nruns = study.runs"
    return [
        _python(server, python),
        _r(
            server,
            f"collection <- ocl({study_id})\n{'runs' if kind == 'run' else 'tasks'} <- "
            f"collection${'run' if kind == 'run' else 'task'}_ids",
        ),
        _java(server, f"Study study = openml.studyGet({study_id});"),
        Snippet("Command line", f"curl '{server}api/v1/json/study/{study_id}'"),
    ]


def _python(server: str, code: str) -> Snippet:
    told = "" if server == OPENML else f'openml.config.server = "{server}api/v1/xml"\n'
    return Snippet("Python", f"import openml  # pip install openml\n\n{told}{code}")


def _r(server: str, code: str) -> Snippet:
    told = "" if server == OPENML else f'options(mlr3oml.server = "{server}api/v1")\n'
    return Snippet("R", f"library(mlr3oml)\n\n{told}{code}")


def _java(server: str, code: str) -> Snippet:
    return Snippet("Java", f'OpenmlConnector openml = new OpenmlConnector("{server}", "");\n{code}')


def _is_quotable(address: str) -> bool:
    return re.fullmatch(r"https?://[A-Za-z0-9._~:/?=%\[\]-]+", address) is not None


def bibtex(dataset: Dataset, *, address: str) -> str:
    """Return an entry that cites the dataset as it is published here."""
    authors = dataset.creators or [dataset.uploader or "Unknown"]
    fields = {
        "title": f"{{{dataset.name.translate(_BIBTEX)}}}",
        "author": " and ".join(f"{{{author.translate(_BIBTEX)}}}" for author in authors),
        "year": dataset.year,
        "publisher": "OpenML",
        "version": dataset.version.translate(_BIBTEX),
        "url": address,
        "note": f"Dataset {dataset.id}",
    }
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"@misc{{openml-data-{dataset.id},\n{lines}\n}}"


def structured_data(dataset: Dataset, *, address: str, file: str) -> Markup:
    """Return what search engines read, as https://schema.org/Dataset: JSON that nothing in it can end."""
    found: dict[str, Any] = {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "@id": address,
        "url": address,
        "name": dataset.name,
        "description": dataset.summary or f"The dataset {dataset.name}.",
        "identifier": str(dataset.id),
        "version": dataset.version,
        "license": dataset.licence_url or dataset.licence,
        "datePublished": dataset.date,
        "keywords": dataset.tags,
        "creator": [
            {"@type": "Person", "name": name} for name in dataset.creators or [dataset.uploader] if name
        ],
        "citation": dataset.citation[:1000],
        "isAccessibleForFree": True,
        "isBasedOn": dataset.source,
        "includedInDataCatalog": {"@type": "DataCatalog", "name": "OpenML"},
        "distribution": [
            {"@type": "DataDownload", "contentUrl": url, "encodingFormat": kind}
            for url, kind in (
                (file, dataset.format or "ARFF"),
                (dataset.parquet, "application/vnd.apache.parquet"),
            )
            if url
        ],
        "variableMeasured": [feature.name for feature in dataset.features[:100] if feature.name],
    }
    text = to_json({name: value for name, value in found.items() if value})
    return Markup(text)  # noqa: S704 - no character is left that means something to a parser of HTML
