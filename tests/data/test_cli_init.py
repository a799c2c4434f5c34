"""``edgekit init``: the recipe that it writes is valid, has comments and fits the folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from data_helpers import image

from edgekit.cli.app import main
from edgekit.data import open_dataset
from edgekit.recipe import load_recipe
from edgekit.study.cells import plan_cells


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["init", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_the_recipe_is_valid_commented_and_opens_the_folder(make_folder, tmp_path, capsys):
    root = make_folder({"cat": 40, "dog": 30})
    recipe = tmp_path / "mine.yaml"
    assert run(root, "-o", recipe) == 0
    loaded = load_recipe(recipe)
    assert loaded.name == "photos"
    assert loaded.data.image_size == 96
    assert loaded.data.resize == "stretch"
    assert loaded.model.weights == "imagenet"
    assert loaded.train.strategy == "fine-tuning"
    assert loaded.train.class_weights == "none"
    text = recipe.read_text()
    for fact in (
        "70 images of 2 classes",
        "cat 26, dog 19",
        "small data: only 19",
        "PNG 70",
        "median 10",
        "test: 14 images",
    ):
        assert fact in text
    assert len(open_dataset(loaded.data)) == 70
    shown = capsys.readouterr()
    assert "cat" in shown.out
    assert str(recipe) in shown.out
    assert max(len(line) for line in shown.out.splitlines() if str(tmp_path) not in line) <= 80


def test_settings_follow_from_the_images(tmp_path):
    root = tmp_path / "odd shapes"
    for name, count in (("many", 60), ("few", 12)):
        (root / name).mkdir(parents=True)
        for seed in range(count):
            image(seed + 100 * len(name), (400, 300) if seed % 2 else (300, 400)).save(root / name / f"{seed}.jpg")
    recipe = tmp_path / "r.yaml"
    assert run(root, "-o", recipe, "-q") == 0
    loaded = load_recipe(recipe)
    assert loaded.data.image_size == 224
    assert loaded.data.resize == "pad"
    assert loaded.train.class_weights == "balanced"
    assert loaded.train.batch_size == 16


def test_names_that_need_quoting(make_folder, tmp_path):
    root = make_folder({"null": 8, 'say "no": #1': 8, "naïve\\path": 8}, name="año: 2026 #2")
    recipe = tmp_path / "r.yaml"
    assert run(root, "-o", recipe) == 0
    assert load_recipe(recipe).data.path == str(root)
    assert load_recipe(recipe).name == "a-o-2026-2"


def test_json(make_folder, tmp_path, capsys):
    root = make_folder({"train/a": 20, "train/b": 8, "test/a": 2, "test/b": 2})
    assert run(root, "-o", tmp_path / "r.yaml", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["dataset"]["counts"]["train"] == {"a": 16, "b": 6}
    assert document["dataset"]["n_images"] == 32
    assert document["suggested"]["class_weights"] == "balanced"


def test_an_existing_recipe_is_kept_without_force(make_folder, tmp_path, capsys):
    root, recipe = make_folder({"cat": 8, "dog": 8}), tmp_path / "r.yaml"
    recipe.write_text("mine")
    assert run(root, "-o", recipe) == 2
    assert recipe.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert run(root, "-o", recipe, "--force") == 0
    assert load_recipe(recipe).name == "photos"


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"cat": 4}, "only one class"),
        ({"cat": 4, "dog": 0}, "one class has no images: dog"),
        ({"train/a": 4, "train/b": 4, "test/c": 4}, "'test' contains classes that 'train' does not: c"),
    ],
)
def test_bad_folders_exit_with_2_and_write_nothing(make_folder, tmp_path, capsys, counts, message):
    assert run(make_folder(counts), "-o", tmp_path / "r.yaml") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "r.yaml").exists()
    assert run(tmp_path / "missing", "-o", tmp_path / "r.yaml") == 2
    assert run(make_folder(counts), "-o", tmp_path) == 2


def test_damaged_images_are_reported(make_folder, tmp_path, capsys):
    root = make_folder({"cat": 8, "dog": 8})
    (root / "cat" / "bad.jpg").write_bytes(b"no")
    assert run(root, "-o", tmp_path / "r.yaml") == 0
    assert "cat/bad.jpg" in capsys.readouterr().err
    assert "1 of all images cannot be read" in (tmp_path / "r.yaml").read_text()


def test_the_verb_imports_nothing_heavy():
    code = "import sys, edgekit.cli.init; sys.exit(bool({'numpy', 'pydantic', 'PIL', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0


def test_a_small_folder_gets_a_suggestion_to_compare_two_training_variants(make_folder, tmp_path):
    """It is a comment, because it doubles the time, and it is valid without changes."""
    recipe = tmp_path / "r.yaml"
    assert run(make_folder({"cat": 40, "dog": 30}), "-o", recipe, "-q") == 0
    text = recipe.read_text()
    assert load_recipe(recipe).compare.arms == {}
    for line in ("  # arms:", "  #   basic:", "  #   mixed:"):
        assert line in text
        text = text.replace(line, line.replace("  # ", "  ", 1))
    recipe.write_text(text)
    assert set(load_recipe(recipe).compare.arms) == {"basic", "mixed"}
    cells = plan_cells(load_recipe(recipe), tmp_path)
    mixed = next(cell for cell in cells if (cell.arm, cell.strategy) == ("mixed", "fine-tuning"))
    assert mixed.recipe.train.mix.cutmix.probability == 0.5
