"""A study in MLflow's own store; without MLflow only the message is tested."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekit.documents.folders import RunFolder
from edgekit.documents.run import (
    DatasetRecord,
    ModelRecord,
    RunDocument,
    SplitMetrics,
    TimingRecord,
    TrainingEnvironment,
    WeightsRecord,
)
from edgekit.documents.study import CellRecord, StudyDocument
from edgekit.errors import EdgekitError
from edgekit.recipe import validate
from edgekit.stats.classification import classification_metrics
from edgekit.study.mlflow_tracking import check_mlflow, log_study

RECIPE = validate({"name": "pets", "train": {"batch_size": 16}}, "test")


def test_mlflow_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(EdgekitError, match="not installed") as error:
        check_mlflow("sqlite:///x.db")
    assert error.value.hint == 'pip install "edgekit[mlflow]"'


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with one trained run and one that failed."""
    import numpy as np

    run = RunFolder(tmp_path / "runs" / "mobilenetv2-fine-tuning-s0")
    labels = np.array([0, 0, 1, 1])
    scores = classification_metrics(labels, np.eye(2, dtype=np.float32)[[0, 0, 1, 0]], ["cat", "dog"])
    RunDocument(
        status="done",
        run_id=run.path.name,
        created="2026-11-22T00:00:00+00:00",
        edgekit_version="0.1.0",
        recipe=RECIPE,
        backbone="mobilenetv2",
        strategy="fine-tuning",
        seed=0,
        weights=WeightsRecord(source="imagenet"),
        dataset=DatasetRecord(
            name="pets", root="pets", fingerprint="0", classes=("cat", "dog"), layout="", n_files=4, counts={}
        ),
        model=ModelRecord(parameters=2_591_300, layers=150, input_shape=(224, 224, 3)),
        environment=TrainingEnvironment(
            python="3.11", platform="linux", cpu=None, cores=2, backend="tensorflow", gpu=None, versions={}
        ),
        timing=TimingRecord(train_seconds=12.5),
        metrics={"test": SplitMetrics.model_validate(scores)},
    ).write(run.run_json)
    run.labels.write_text("cat\ndog\n")
    run.history.write_text("stage,epoch,loss,accuracy\nfine-tuning,1,0.9,0.5\nfine-tuning,2,0.4,0.75\n")
    cells = tuple(
        CellRecord(
            run=f"runs/{backbone}-fine-tuning-s0", backbone=backbone, strategy="fine-tuning", seed=0, status=status
        )
        for backbone, status in (("mobilenetv2", "trained"), ("vgg16", "failed"))
    )
    document = StudyDocument(name="pets", created="2026-11-22T00:00:00+00:00", recipe=RECIPE, cells=cells)
    document.write(tmp_path / "study.json")
    return tmp_path


def test_every_trained_cell_is_a_run(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    uri = (study / "mlruns").as_uri()
    assert log_study(study, uri) == 1
    assert log_study(study, uri) == 1  # again: the same run
    client = tracking.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("pets")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "mobilenetv2-fine-tuning-s0"
    assert run.info.status == "FINISHED"
    assert run.data.params["train.batch_size"] == "16"
    assert run.data.metrics["test.accuracy"] == 0.75
    assert run.data.metrics["train_seconds"] == 12.5
    curve = client.get_metric_history(run.info.run_id, "fine-tuning.loss")
    assert {(point.step, point.value) for point in curve} == {(1, 0.9), (2, 0.4)}
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"run.json", "labels.txt", "history.csv"}


def test_a_store_that_does_not_answer_is_one_error(study: Path) -> None:
    pytest.importorskip("mlflow.tracking")
    with pytest.raises(EdgekitError, match="MLflow did not accept the study"):
        log_study(study, "file:///proc/no/such/place")
