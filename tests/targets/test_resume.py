"""What is left of a scoring job on corrupted images that a device lost."""

from __future__ import annotations

from edgekit.targets.resume import Progressed

MODELS = [{"key": "a", "path": "a.onnx"}, {"key": "b", "path": "b.onnx"}]
JOB = {"models": MODELS, "files": [f"{i}.png" for i in range(64)], "corruptions": [["haze", 1], ["haze", 5]]}


def line(key: str, start: int, condition: int) -> dict[str, object]:
    return {"event": "predictions", "key": key, "start": start, "count": 32, "condition": condition}


def test_every_condition_of_the_same_images_is_new():
    progressed = Progressed("accuracy", JOB)
    assert all(progressed.is_new(line(key, 0, condition)) for condition in (0, 1) for key in "ab")
    assert not progressed.is_new(line("a", 0, 1))
    assert progressed.rest(JOB)["skip"] == 32


def test_what_one_condition_lacks_is_asked_for_again_and_the_rest_of_it_not_counted_twice():
    progressed = Progressed("accuracy", JOB)
    for condition in (0, 1):
        for key in "ab":
            progressed.is_new(line(key, 0, condition))
    progressed.is_new(line("a", 32, 0))  # lost before b, and before the second condition
    assert progressed.rest(JOB)["skip"] == 32
    assert not progressed.is_new(line("a", 32, 0))
    assert progressed.is_new(line("a", 32, 1))


def test_a_model_that_failed_stays_out_under_every_condition():
    progressed = Progressed("accuracy", JOB)
    progressed.is_new({"event": "failed", "key": "a", "reason": "NaN"})
    assert [model["key"] for model in progressed.rest(JOB)["models"]] == ["b"]
