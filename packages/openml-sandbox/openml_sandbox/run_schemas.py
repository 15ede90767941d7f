"""The schemas of flows and runs, as tables: what `openml.implementation.upload.xsd` and `openml.run.upload.xsd` say."""

from openml_sandbox.schema import Group, Particle, Schema
from openml_sandbox.xsd_types import (
    DATE_TIME,
    DOUBLE,
    FLOW_CASUAL_64,
    FLOW_CASUAL_128,
    FLOW_CASUAL_1024,
    INT,
    INTEGER,
    LATIN_128,
    RUN_CASUAL_128,
    RUN_CASUAL_1024,
    RUN_LATIN_2048,
    STRING,
    SYSTEM_128,
    URI,
)


def _flow() -> tuple[Particle, ...]:
    return (
        Particle("id", INT),
        Particle("uploader", INT),
        Particle("name", FLOW_CASUAL_1024, required=True),
        Particle("custom_name", LATIN_128),
        Particle("class_name", FLOW_CASUAL_128),
        Particle("version", INT),
        Particle("external_version", FLOW_CASUAL_128),
        Particle("description", STRING, required=True),
        Particle("creator", FLOW_CASUAL_128, many=True),
        Particle("contributor", FLOW_CASUAL_128, many=True),
        Particle("upload_date", DATE_TIME),
        Particle("licence", FLOW_CASUAL_64),
        Particle("language", FLOW_CASUAL_128),
        Particle("full_description", STRING),
        Particle("installation_notes", STRING),
        Particle("dependencies", STRING),
        Particle("implements", FLOW_CASUAL_128),
        Particle("parameter", Group("parameter", _parameter), many=True),
        Particle("component", Group("component", _component), many=True),
        Particle("quality", Group("quality", _quality), many=True),
        Particle("tag", SYSTEM_128, many=True),
        Particle("source_url", URI),
        Particle("binary_url", URI),
        Particle("source_format", SYSTEM_128),
        Particle("binary_format", SYSTEM_128),
        Particle("source_md5", SYSTEM_128),
        Particle("binary_md5", SYSTEM_128),
    )


def _parameter() -> tuple[Particle, ...]:
    optional = ("default_value", "description", "recommendedRange")
    return (
        Particle("name", FLOW_CASUAL_128, required=True),
        Particle("data_type", LATIN_128),
        *(Particle(name, STRING) for name in optional),
    )


def _component() -> tuple[Particle, ...]:
    return (
        Particle("identifier", SYSTEM_128, required=True),
        Particle("flow", Group("flow", _flow), required=True),
    )


def _quality() -> tuple[Particle, ...]:
    return (Particle("name", SYSTEM_128, required=True), Particle("value", SYSTEM_128, required=True))


FLOW = Schema("flow", _flow())


def _setting() -> tuple[Particle, ...]:
    return (
        Particle("name", RUN_CASUAL_1024, required=True),
        Particle("value", RUN_LATIN_2048, required=True),
        Particle("component", INTEGER),
    )


def _data() -> tuple[Particle, ...]:
    places = tuple((name, INTEGER) for name in ("repeat", "fold", "sample", "interval_start", "interval_end"))
    return (
        Particle("dataset", Group("dataset", _dataset), many=True),
        Particle("file", Group("file", _file), many=True),
        Particle("evaluation", Group("evaluation", _evaluation, places), many=True),
    )


def _dataset() -> tuple[Particle, ...]:
    return (
        Particle("did", INTEGER, required=True),
        Particle("name", RUN_CASUAL_128, required=True),
        Particle("url", URI, required=True),
    )


def _file() -> tuple[Particle, ...]:
    did, name, url = _dataset()
    return (did, Particle("file_id", INTEGER, required=True), name, url)


def _evaluation() -> tuple[Particle, ...]:
    return (
        Particle("did", INTEGER),
        Particle("name", SYSTEM_128, required=True),
        Particle("flow_id", INTEGER),
        Particle("flow", RUN_CASUAL_1024),
        Particle("label", RUN_CASUAL_1024),
        Particle("value", DOUBLE),
        Particle("stdev", DOUBLE),
        Particle("array_data", LATIN_128),
        Particle("sample_size", INTEGER),
    )


RUN = Schema(
    "run",
    (
        Particle("run_id", INTEGER),
        Particle("uploader", INTEGER),
        Particle("uploader_name", LATIN_128),
        Particle("task_id", INTEGER),
        Particle("task_type", LATIN_128),
        Particle("task_evaluation_measure", LATIN_128),
        Particle("flow_id", INTEGER, required=True),
        Particle("flow_name", RUN_CASUAL_1024),
        Particle("setup_id", INTEGER),
        Particle("setup_string", RUN_LATIN_2048),
        Particle("error_message", LATIN_128),
        Particle("run_details", SYSTEM_128, many=True),
        Particle("parameter_setting", Group("parameter_setting", _setting), many=True),
        Particle("tag", SYSTEM_128, many=True),
        Particle("input_data", Group("data", _data)),
        Particle("output_data", Group("data", _data)),
    ),
)

RUN_SCHEMAS = {"openml.implementation.upload": FLOW, "openml.run.upload": RUN}
