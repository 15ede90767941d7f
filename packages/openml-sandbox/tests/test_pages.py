"""The pages for people."""

import re
from pathlib import Path

from sandbox_runs import flow_xml, make_flow, make_run, make_tasks, publish_rows, run_xml
from sandbox_server import ARFF, OTHER, WRITER, Serve, Server, describe


def test_pages_when_nothing_was_published_then_the_list_says_so(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path) as server, server.client() as client:
        assert "Nothing yet." in client.get("/").text


def test_pages_when_datasets_were_published_then_they_are_listed_with_links_that_work(server: Server) -> None:
    dataset_id = server.publish(describe(name="listed", default_target_attribute="class"))
    server.wait_until_processed(dataset_id)
    with server.client() as client:
        index = client.get("/").text
        row = next(row for row in index.split("<tr>") if f'href="/d/{dataset_id}"' in row)

        assert all(text in row for text in ("listed", "active", str(len(ARFF))))
        for link in re.findall(r'href="([^"]+)"', row):
            assert client.get(link).status_code == 200


def test_pages_when_tasks_and_studies_were_made_then_they_are_listed_with_links_that_work(
    serve: Serve, tmp_path: Path
) -> None:
    with serve(tmp_path) as server, server.client() as client:
        dataset_id = server.publish(describe(name="about", default_target_attribute="class"))
        server.wait_until_processed(dataset_id)
        documents = [
            (
                "task",
                (
                    "<oml:task_inputs {}><oml:task_type_id>5</oml:task_type_id>"
                    f'<oml:input name="source_data">{dataset_id}</oml:input>'
                    '<oml:input name="estimation_procedure">17</oml:input><oml:tag>grouped</oml:tag></oml:task_inputs>'
                ),
            ),
            (
                "study",
                (
                    "<oml:study {}><oml:alias>shown</oml:alias><oml:main_entity_type>task</oml:main_entity_type>"
                    "<oml:name>&lt;script&gt;</oml:name><oml:description>&lt;b&gt;</oml:description>"
                    "<oml:tasks><oml:task_id>1001</oml:task_id></oml:tasks></oml:study>"
                ),
            ),
        ]
        for kind, document in documents:
            xml = document.format('xmlns:oml="http://openml.org/openml"')
            answer = client.post(
                f"/api/v1/{kind}", data={"api_key": WRITER}, files={"description": ("d", xml)}
            )
            assert answer.status_code == 200, answer.text
        index = client.get("/").text

        assert "<script" not in index
        for link in re.findall(r'href="([^"]+)"', index):
            # The name with markup breaks its JSON, as it does on the real server.
            assert client.get(link).status_code == (500 if link == "/api/v1/json/study/101" else 200), link
        task_page, study_page = client.get("/t/1001").text, client.get("/s/101").text
        assert all(text in task_page for text in ("Clustering", "grouped", f"<td>{dataset_id}</td>"))
        assert all(text in study_page for text in ("&lt;script&gt;", "&lt;b&gt;", "shown", "<td>1001</td>"))
        assert "<b>" not in study_page
        assert client.get("/t/9").status_code == client.get("/s/9").status_code == 404


def test_pages_when_runs_were_sent_then_they_are_listed_and_shown(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path) as server, server.client() as client:
        task, _ = make_tasks(server, publish_rows(server))
        xml = flow_xml("a.flow(b=c)").replace("Trees.", "&lt;i&gt;Trees&lt;/i&gt;")
        flow = make_flow(client, xml)
        run = make_run(client, run_xml(flow, task))
        index = client.get("/").text
        for link in re.findall(r'href="([^"]+)"', index):
            assert client.get(link).status_code == 200, link
        page = client.get(f"/f/{flow}").text

        assert f'href="/r/{run}"' in index
        assert "&lt;i&gt;Trees" in page
        assert "trees = 10" in page
        assert client.get("/f/9").status_code == client.get("/r/9").status_code == 404


def test_pages_when_opened_then_nothing_from_elsewhere_may_load(server: Server) -> None:
    with server.client() as client:
        answer = client.get("/")

    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in answer.text
    assert "http" not in answer.text.partition("<body>")[0]


def test_dataset_page_when_texts_hold_markup_then_it_is_escaped(server: Server) -> None:
    arff = "@relation t\n@attribute '<b>' string\n@attribute class {'<i>',b}\n@data\n'<script>',b\n"
    xml = describe(description="&lt;script&gt;alert(1)&lt;/script&gt;", default_target_attribute="class")
    dataset_id = server.publish(xml, arff.encode())
    server.wait_until_processed(dataset_id)
    with server.client() as client:
        page = client.get(f"/d/{dataset_id}").text

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;b&gt;" in page
    assert "{&lt;i&gt;, b}" in page


def test_dataset_page_when_processing_failed_then_the_error_is_shown(server: Server) -> None:
    dataset_id = server.publish(describe(default_target_attribute="nosuch"))
    server.wait_until_processed(dataset_id)
    with server.client() as client:
        page = client.get(f"/d/{dataset_id}").text

    assert "Processed with an error: Default target attribute(s) could not be found: [nosuch]" in page


def test_dataset_page_when_private_or_unknown_then_it_is_not_found(server: Server) -> None:
    dataset_id = server.publish(describe(visibility="private", name="secret"))
    with server.client() as client:
        assert client.get(f"/d/{dataset_id}").status_code == 404
        assert client.get("/d/99999").status_code == 404
        assert "secret" not in client.get("/").text


def test_download_when_private_then_only_the_owner_gets_it(server: Server) -> None:
    dataset_id = server.publish(describe(visibility="private"))
    file_id = server.get(f"data/{dataset_id}?api_key={WRITER}").json()["data_set_description"]["file_id"]
    with server.client() as client:
        path = f"/data/v1/download/{file_id}/tiny.arff"
        assert client.get(path).status_code == 403
        assert client.get(f"{path}?api_key={OTHER}").status_code == 403
        assert client.get(f"{path}?api_key={WRITER}").content == ARFF
