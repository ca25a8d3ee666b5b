"""Options of metrics that refer to the model's keys are read from a job's folder as values."""

from pathlib import Path

from metrics.registry import create
from runner.jobs.folder import CONFIG, JobFolder

WRITTEN = """
model: {box_frame: 0-1000, box_order: xyxy, output_adapters: [otsl]}
metrics:
  grounding: {frame: '${model.box_frame}', order: '${model.box_order}'}
  page: {adapters: '${model.output_adapters}'}
  kie: {schema: '${prompt.schema}'}
  cer: {}
judge: {key: '${oc.env:SECRET}'}
prompt: {schema: null}
"""


def test_metrics_can_be_made_from_the_config_of_a_job(tmp_path: Path):
    path = tmp_path / CONFIG
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(WRITTEN, encoding="utf-8")
    config = JobFolder(tmp_path).config
    assert config["metrics"] == {
        "grounding": {"frame": "0-1000", "order": "xyxy"},
        "page": {"adapters": ["otsl"]},
        "kie": {"schema": None},
        "cer": {},
    }
    assert config["judge"] == {"key": "${oc.env:SECRET}"}
    assert all(create(name, options) for name, options in config["metrics"].items())
