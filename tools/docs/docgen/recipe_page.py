"""The recipe reference, from the models in ``edgekit.recipe`` and the docstrings under their fields."""

from __future__ import annotations

from docgen.markdown import notice, prose, table
from docgen.models import own_doc, rows, walk

INTRODUCTION = """\
# Recipe

A recipe is a YAML file with every choice of a run or a study. All keys have defaults; only the images must be named,
in `data.path`, in `data.name` or with `--data`. Unknown keys and wrong types are errors, reported with the line number.

`edgekit init DATA` writes a commented recipe for your images, and `edgekit list recipes` lists the recipes that
edgekit ships. Override a single key on the command line with `--set`:

```bash
edgekit train photos.yaml --set train.batch_size=16
```

A dotted name below is the path of a key: `train.mix.mixup.alpha` is `alpha` in the section `mixup` of the section `mix`
of the section `train`. `null` means that the key is not set.
"""


def page() -> str:
    """The whole page."""
    from edgekit.recipe import Recipe

    sections = list(walk("", Recipe))
    links: dict[str, str] = {}
    for path, model in sections:
        links.setdefault(model.__name__, "#" + _title(path).replace(".", "").lower().replace(" ", "-"))
    parts = [notice("the models in `edgekit.recipe`"), INTRODUCTION.rstrip()]
    for path, model in sections:
        parts += [f"## {_title(path)}", *([prose(own_doc(model))] if own_doc(model) else [])]
        parts.append(table(("Key", "Type", "Default", "Description"), rows(model, links)))
    return "\n\n".join(parts) + "\n"


def _title(path: str) -> str:
    return path or "Top level"
