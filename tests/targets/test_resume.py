"""What is left of a job on corrupted images that a device lost."""

from __future__ import annotations

from edgekit.targets.resume import JobProgress

MODELS = [{"key": "a", "path": "a.onnx"}, {"key": "b", "path": "b.onnx"}]
JOB = {"models": MODELS, "files": [f"{i}.png" for i in range(64)], "corruptions": [["haze", 1], ["haze", 5]]}


def line(key: str, start: int, condition: int) -> dict[str, object]:
    return {"event": "predictions", "key": key, "start": start, "count": 32, "condition": condition}


def test_each_condition_of_an_image_is_new():
    progress = JobProgress("accuracy", JOB)
    assert all(progress.is_new(line(key, 0, condition)) for condition in (0, 1) for key in "ab")
    assert not progress.is_new(line("a", 0, 1))
    assert progress.rest(JOB)["skip"] == 32


def test_an_incomplete_condition_is_repeated_without_counting_images_twice():
    progress = JobProgress("accuracy", JOB)
    for condition in (0, 1):
        for key in "ab":
            progress.is_new(line(key, 0, condition))
    progress.is_new(line("a", 32, 0))  # lost before b, and before the second condition
    assert progress.rest(JOB)["skip"] == 32
    assert not progress.is_new(line("a", 32, 0))
    assert progress.is_new(line("a", 32, 1))


def test_a_failed_model_is_left_out_of_all_conditions():
    progress = JobProgress("accuracy", JOB)
    progress.is_new({"event": "failed", "key": "a", "reason": "NaN"})
    assert [model["key"] for model in progress.rest(JOB)["models"]] == ["b"]
