"""What `import pipeline` offers to programs."""

from __future__ import annotations

import msgspec
import pytest

import pipeline


@pytest.mark.parametrize("name", pipeline.__all__)
def test_each_name_of_the_api_is_there_and_shown(name: str) -> None:
    assert getattr(pipeline, name) is not None
    assert name in dir(pipeline)


def test_a_report_has_a_schema_and_names_the_version_it_is_of() -> None:
    schema = msgspec.json.schema(pipeline.Report)
    properties = schema["$defs"]["Report"]["properties"]

    assert {"version", "startedAt", "projectsConflicting"} <= properties.keys()
    assert pipeline.Report().version == pipeline.__version__
