"""Labels files of every origin: what they say is read, or the reason why not is given."""

from __future__ import annotations

import json

import pytest

from edgekit.device.labels import LabelsError, own_labels, parse_labels

CAT_DOG = {
    "plain.txt": b"cat\ndog\n",
    "no line end.txt": b"cat\ndog",
    "bom.txt": "\ufeffcat\r\ndog\r\n".encode(),
    "utf16.txt": "cat\r\ndog\r\n".encode("utf-16"),
    "old mac.txt": b"cat\rdog\r",
    "spaces.txt": b"  cat \n\tdog\n",
    "blank lines.txt": b"cat\ndog\n\n  \n\n",
    "numbered.txt": b"0 cat\n1 dog\n",
    "numbered from 1.txt": b"1 cat\n2 dog\n",
    "numbered with colons.txt": b"0: cat\n1: dog\n",
    "numbered with commas.txt": b"0,cat\n1,dog\n",
    "numbered with tabs.txt": b"0\tcat\n1\tdog",
    "numbered, another order.txt": b"1 dog\n0 cat\n",
    "number behind.txt": b"dog,1\ncat,0\n",
    "quoted.txt": b'"cat"\n"dog"\n',
    "list.json": b'["cat", "dog"]',
    "names first.json": b'{"dog": 1, "cat": 0}',
    "numbers first.json": b'{"1": "dog", "0": "cat"}',
    "quoted numbers.json": b'{"dog": "1", "cat": "0"}',
    "json by another name.txt": b'{\n"dog": 1,\n"cat": 0\n}',
    "list by another name.txt": b'[\n"cat",\n"dog"\n]',
    "keras index.json": b'{"0": ["n01", "cat"], "1": ["n02", "dog"]}',
    "config.json": b'{"id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0, "dog": 1}}',
    "coco.json": b'{"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}',
    "bom.json": '\ufeff["cat", "dog"]'.encode(),
    "one column.csv": b"cat\ndog\n",
    "header.csv": b"class\ncat\ndog\n",
    "index.csv": b"index,name\n1,dog\n0,cat\n",
    "index behind.csv": b"name,index\ndog,1\ncat,0\n",
    "no header.csv": b"1,dog\n0,cat\n",
    "semicolons.csv": "\ufeffid;name\r\n0;cat\r\n1;dog\r\n".encode(),
    "more columns.csv": b"class_index,class,height,width\n0,cat,224,224\n1,dog,224,224\n",
}


@pytest.mark.parametrize("name", CAT_DOG)
def test_a_labels_file_is_read_as_it_says(name):
    assert parse_labels(CAT_DOG[name], name) == ["cat", "dog"]


REFUSED = {
    "empty.txt": (b"", "no names"),
    "only a bom.txt": ("\ufeff\n".encode(), "no names"),
    "blank.txt": (b"\n \n\n", "no names"),
    "empty.json": (b"[]", "no names"),
    "empty object.json": (b"{}", "no names"),
    "blank between.txt": (b"cat\n\ndog\n", "line 2 is empty"),
    "blank first.txt": (b"\ncat\ndog\n", "line 1 is empty"),
    "twice.txt": (b"cat\ndog\ncat\n", "'cat' occurs more than once"),
    "twice after stripping.txt": (b"cat\ndog\n cat\n", "'cat' occurs more than once"),
    "twice.json": (b'["cat", "cat"]', "more than once"),
    "key twice.json": (b'{"cat": 0, "cat": 1}', "more than once"),
    "gap.txt": (b"0 cat\n2 dog\n", "number 1 is missing"),
    "number twice.txt": (b"0 cat\n0 dog\n", "number 0 occurs twice"),
    "gap.json": (b'{"cat": 0, "dog": 2}', "number 1 is missing"),
    "two outputs of one number.json": (b'{"cat": 0, "dog": 0}', "occurs twice"),
    "two readings.json": (b'{"0": "1", "1": "2", "2": "0"}', "two ways"),
    "lists that differ.json": (b'{"names": ["cat", "dog"], "classes": ["dog", "cat"]}', "differ"),
    "cut.json": (b'{"cat": 0, "do', "cannot be read as JSON"),
    "cut by another name.txt": (b'{"cat": 0,\n"do', "cannot be read as JSON"),
    "lines of json.txt": (b'{"name": "cat"}\n{"name": "dog"}\n', "cannot be read as JSON"),
    "unquoted list.txt": (b"[cat, dog]\n", "cannot be read as JSON"),
    "numbers.json": (b"[0.5, 1.5]", "not a class name"),
    "mixed.json": (b'{"cat": "dog"}', "neither"),
    "a string.json": (b'"cat"', "neither a list"),
    "deep.json": (b"[" * 100_000, "cannot be read as JSON"),
    "line break.json": (b'["cat\\nhot", "dog"]', "line break"),
    "yaml.yaml": (b"names: [cat, dog]\n", ".yaml files"),
    "yaml by another name.txt": (b"names:\n  0: cat\n  1: dog\n", "is not a name"),
    "label map.txt": (b"item {\n id: 1\n name: 'cat'\n}\n", "is not a name"),
    "separator.txt": ("cat\u2028hot\ndog\n".encode(), "line break"),
    "vertical tab.txt": (b"cat\x0bhot\ndog\n", "line break"),
    "latin1.txt": ("caf\u00e9\nth\u00e9\n".encode("latin-1"), "not UTF-8"),
    "binary.txt": (b"\x00\x01\x02\x03", "not text"),
    "unclear.csv": (b"a,b\nc,d\n", "which column"),
    "separators.csv": (b",\n,\n", "no names"),
    "ragged.csv": (b"index,name\n0,cat\n1\n", "row 3 has 1 columns"),
    "numbers.csv": (b"index,name\nx,cat\ny,dog\n", "not whole numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_labels_file_that_cannot_be_used_is_refused_with_the_reason(name):
    content, reason = REFUSED[name]
    with pytest.raises(LabelsError) as caught:
        parse_labels(content, name)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "names",
    [
        ["5 cent", "10 cent", "20 cent"],
        ["1 euro", "2 euro"],
        ["0", "1", "2"],
        ["[unknown]", "cat"],
        ["great white shark, white shark", "tiger shark, Galeocerdo cuvieri"],
        ["1st place", "2nd place"],
        ["\u00e7ok g\u00fczel", "\u732b"],
        ["a\u200db", "c"],
    ],
)
def test_names_are_kept_as_they_are(names):
    assert parse_labels("\n".join(names).encode()) == names
    assert parse_labels(json.dumps(names).encode(), "labels.json") == names


def test_the_homonyms_of_imagenet_are_numbered():
    names = [f"class {number}" for number in range(1000)]
    names[134] = names[517] = "crane"
    read = parse_labels("\n".join(names).encode())
    assert read[134] == "crane (134)"
    assert read[517] == "crane (517)"
    assert read[5] == "class 5"


def test_only_a_line_feed_separates_what_edgekit_wrote():
    names = ["one\u2028two", "three\x0bfour", " five", "0 six"]
    assert own_labels("".join(f"{name}\n" for name in names).encode()) == names
