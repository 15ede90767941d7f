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
    python = "" if is_official else f'openml.config.server = "{server}api/v1/xml"\n'
    mlr = "" if is_official else f'options(mlr3oml.server = "{server}api/v1")\n'
    found = [
        Snippet(
            "Python",
            f"import openml  # pip install openml\n\n{python}dataset = openml.datasets.get_dataset({dataset.id})\n"
            "table, _, _, _ = dataset.get_data()",
        ),
        Snippet("R", f"library(mlr3oml)\n\n{mlr}dataset <- odt({dataset.id})\ntable <- dataset$data"),
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
        found.append(Snippet("Julia", julia))
    java = (
        f'OpenmlConnector openml = new OpenmlConnector("{server}", "");\n'
        f"DataSetDescription dataset = openml.dataGet({dataset.id});\n"
        "File table = openml.datasetGet(dataset);"
    )
    found.append(Snippet("Java", java))
    if _is_quotable(file):
        found.append(Snippet("Command line", f"curl --location --output {dataset.id}.arff '{file}'"))
    return found


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
