"""openml-python itself publishes to the sandbox and reads back what it sent."""

import os
import subprocess
import sys
from pathlib import Path

from tests.sandbox.conftest import WRITER, Server

SCRIPT = """
import sys
from pathlib import Path
import openml, pandas as pd
url, key, cache = sys.argv[1:]
openml.config.set_root_cache_directory(cache)
openml.config.server = url + "/api/v1/xml"
openml.config.apikey = key
frame = pd.DataFrame({
    "length": [1.5, 2.25, None, 4.0],
    "count": [1, 2, 3, 4],
    "note": ["plain", "with, comma", "it's", None],
    "kind": pd.Categorical(["yes", "no", "yes", "no"]),
})
dataset = openml.datasets.create_dataset(
    name="round-trip", description="Made by openml-python.", creator=["A B", "C D"], contributor=None,
    collection_date="2024", language="English", licence="CC0", attributes="auto", data=frame,
    default_target_attribute="kind", ignore_attribute=None, citation="none",
)
dataset.publish()
assert dataset.id is not None
import time
for _ in range(200):
    try:
        openml._api_calls._perform_api_call(f"data/features/{dataset.id}", "get")
        break
    except openml.exceptions.OpenMLServerException as error:
        assert error.code == 273, error
        time.sleep(0.05)
read = openml.datasets.get_dataset(
    dataset.id, download_data=True, download_qualities=True, download_features_meta_data=True
)
assert read.name == "round-trip" and read.version == 1 and read.creator == ["A B", "C D"], read
X, y, categorical, names = read.get_data()
assert names == ["length", "count", "note", "kind"], names
assert categorical == [False, False, False, True], categorical
assert X["length"].tolist()[:2] == [1.5, 2.25] and pd.isna(X["length"][2])
assert X["count"].tolist() == [1, 2, 3, 4]
assert X["note"].tolist()[:3] == ["plain", "with, comma", "it's"] and pd.isna(X["note"][3])
assert X["kind"].tolist() == ["yes", "no", "yes", "no"]
assert read.features[3].nominal_values == ["yes", "no"] or sorted(read.features[3].nominal_values) == ["no", "yes"]
assert read.qualities["NumberOfInstances"] == 4.0
dataset.push_tag("made-here")
listed = openml.datasets.list_datasets(tag="made-here", output_format="dataframe")
assert listed["did"].tolist() == [dataset.id]
dataset.remove_tag("made-here")
assert openml.datasets.edit_dataset(dataset.id, description="Edited.") == dataset.id
assert openml.datasets.fork_dataset(dataset.id) != dataset.id
assert openml.datasets.delete_dataset(dataset.id)
print("done")
"""


def test_openml_python_when_it_publishes_a_frame_then_it_reads_the_same_back(
    server: Server, tmp_path: Path
) -> None:
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "OPENML_CACHE_DIR": str(tmp_path)}
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT, server.url, WRITER, str(tmp_path)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert finished.stdout.splitlines()[-1:] == ["done"], finished.stderr
