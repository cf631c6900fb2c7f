"""Annotation files that are broken, wrong or hostile: one clear DataError each, for little work, naming the place."""

import json
import os
from pathlib import Path

import pytest
from made_boxes import coco, image, read, voc, write
from work import calls

from mobilevit.datasets import box_reader, text_files
from mobilevit.errors import DataError

BOX = [(3, (5, 5, 9, 9))]


MOST_CALLS = 2_000_000  # a bomb of eight levels makes ten to a hundred times as many; most files here, a few thousand


def refused(root: Path, data_format: str | None = None) -> str:
    """The message of the DataError, which costs little work."""
    caught: list[DataError] = []

    def attempt() -> None:
        try:
            read(root, data_format=data_format)
        except DataError as error:
            caught.append(error)

    assert calls(attempt) < MOST_CALLS
    message = str(caught[0])
    assert len(message) < 600 and "\n" not in message and message.isprintable()
    return message.replace(f"{root}/", "")


def coco_with(root: Path, key: str, record: object) -> None:
    """Two files, one with a record that replaces the first of a list."""
    coco(root / "val.json", {"a.jpg": BOX})
    content = json.loads(coco(root / "train.json", {"a.jpg": BOX}).read_text())
    content[key][0] = content[key][0] | record if isinstance(record, dict) else record
    write(root / "train.json", json.dumps(content))
    image(root / "a.jpg")


@pytest.mark.parametrize(
    ("key", "record", "said"),
    [
        ("annotations", {"bbox": ["5", 5, 9, 9]}, "train.json: annotation 0 has the bbox ['5', 5, 9, 9]: four numbers"),
        ("annotations", {"bbox": [5, 5, 9]}, "train.json: annotation 0 has the bbox [5, 5, 9]: four numbers"),
        ("annotations", {"bbox": [True] * 4}, "train.json: annotation 0 has the bbox [True, True, True, True]"),
        ("annotations", {"bbox": None}, "train.json: annotation 0 has the bbox None: four numbers"),
        ("annotations", {"bbox": list(range(10**6))}, "train.json: annotation 0 has the bbox [0, 1, 2, 3, 4, 5, ...]"),
        ("annotations", {"iscrowd": "no"}, "train.json: annotation 0 has iscrowd 'no': 0 or 1"),
        (
            "annotations",
            {"category_id": "3"},
            "annotation 0 has the category_id '3': a whole number is expected, not text",
        ),
        ("annotations", {"category_id": 3.0}, "annotation 0 has the category_id 3.0: a whole number is expected"),
        ("annotations", {"image_id": "0"}, "annotation 0 has the image_id '0': a whole number is expected, not text"),
        ("annotations", {"image_id": [0]}, "annotation 0 has the image_id [0]: a whole number is expected"),
        ("annotations", 5, "train.json: annotations[0] is 5: an object is expected"),
        ("images", {"file_name": 5}, "train.json: image 0 has the file_name 5: a path"),
        ("images", {"file_name": "../../etc/passwd"}, "image 0: the path '../../etc/passwd' points outside"),
        ("images", {"file_name": "/etc/passwd"}, "image 0: the path '/etc/passwd' points outside"),
        ("images", {"file_name": "a\0.jpg"}, "image 0: 'a\\x00.jpg' is not a path"),
        ("images", {"width": "wide"}, "train.json: image 0 has the size 'wide' x 48: pixels"),
        ("images", {"width": -4}, "train.json: image 0 has the size -4 x 48: pixels"),
        ("images", {"height": float("nan")}, "train.json: image 0 has the size 64 x nan: pixels"),
        ("images", {"id": None}, "train.json: images[0] has the id None: a whole number"),
        ("images", {"id": [1]}, "train.json: images[0] has the id [1]: a whole number"),
        ("images", {"id": "0"}, "annotation 0 has the image_id 0: a string is expected, as for the ids of the images"),
        ("categories", {"id": "7"}, "train.json: categories[0] has the id '7': a whole number is expected, not text"),
        ("categories", {"id": 3}, "train.json: two of the categories have the id 3"),
        ("categories", {"name": "cat"}, "calls category 7 'dog', another split 'cat'"),
        ("categories", {"name": None}, 'train.json: category 7 has the name None: write a text such as "cat"'),
    ],
)
def test_a_wrong_record(key: str, record: object, said: str, tmp_path: Path) -> None:
    coco_with(tmp_path, key, record)
    assert said in refused(tmp_path)


def test_one_image_id_as_text(tmp_path: Path) -> None:
    """Where the others are numbers; else every box of it would be one of an image that is not listed."""
    coco_with(tmp_path, "images", {"id": "0"})
    content = json.loads((tmp_path / "train.json").read_text())
    content["images"].append({"id": 1, "file_name": "b.jpg"})
    write(tmp_path / "train.json", json.dumps(content))
    assert refused(tmp_path) == (
        "train.json: images[0] has the id '0': a whole number is expected, not text: remove the quotes"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"images": [', "train.json is not valid JSON (Expecting value: line 1 column"),
        ('{"images": ["\\ud800"]}', "train.json: images[0] is '\\ud800': an object"),
        ('{"images": [' + "[" * 200_000, "train.json is refused because its lists are nested too deeply"),
        ('{"images": [' + "9" * 10_000 + "]}", "train.json is not valid JSON (Exceeds the limit"),
        ('[{"images": []}]', "train.json is not a COCO file: an object with images, annotations and categories"),
        ('{"images": [], "annotations": []}', "train.json has no list 'categories'"),
        (
            '{"images": [], "annotations": [], "categories": []}',
            "train.json lists no images ('images' is empty): ",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}',
            "json has no class names: list",
        ),
    ],
)
def test_json_that_is_not_cocos(text: str, said: str, tmp_path: Path) -> None:
    write(tmp_path / "train.json", text)
    assert said in refused(tmp_path)


@pytest.mark.parametrize("text", ["", "null", "[1, 2]"])
def test_a_file_by_cocos_name_is_never_passed_over(text: str, tmp_path: Path) -> None:
    """Else a whole split would be missing without a word."""
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    coco(tmp_path / "val" / "_annotations.coco.json", {"a.jpg": BOX})
    write(tmp_path / "train" / "_annotations.coco.json", text)
    assert refused(tmp_path).startswith("train/_annotations.coco.json is not ")


def test_json_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_bytes(b'{"images": [\xff\xfe]}')
    assert "train.json is not UTF-8 text (byte 12): save it as UTF-8" in refused(tmp_path)


def test_json_of_which_nobody_knows_the_split(tmp_path: Path) -> None:
    for name in ("one", "two"):
        coco(tmp_path / "annotations" / f"{name}.json", {"a.jpg": BOX})
    assert "cannot tell the splits of one.json, two.json: name the files train.json" in refused(tmp_path)
    for name in ("train2014", "train2017"):
        coco(tmp_path / "annotations" / f"instances_{name}.json", {"a.jpg": BOX})
    assert "could both be the train split: keep one" in refused(tmp_path)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    coco_with(tmp_path, "images", {})
    with (tmp_path / "train.json").open("r+b") as file:
        file.truncate(text_files.MAX_BYTES + 1)  # a hole, which takes no room
    assert "train.json is refused because it is larger than 1024 MB" in refused(tmp_path)


XML = "<annotation><object><name>cat</name><bndbox>{}</bndbox></object></annotation>"
CORNERS = "<xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>"
BOMB = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (XML.format(CORNERS)[:-5], "train/a.xml is not valid XML (unclosed token: line 1, column"),
        (
            f'<!DOCTYPE x [<!ENTITY a "lol">{BOMB}]><annotation>&i;</annotation>',
            "train/a.xml is refused because it defines",
        ),
        (
            f'<!DOCTYPE x SYSTEM "file:///etc/passwd">{XML.format(CORNERS)}',
            "train/a.xml is refused because it defines",
        ),
        (XML.format(CORNERS.replace("<xmin>1", "<xmin>one")), "train/a.xml: object 1 has xmin 'one': a number"),
        (XML.format(CORNERS.replace("<xmax>9</xmax>", "")), "train/a.xml: object 1 has no xmax: a number"),
        (XML.replace("bndbox", "polygon").format(CORNERS), "train/a.xml: object 1, 'cat', has no bndbox"),
        (XML.replace("cat", " ").format(CORNERS), "train/a.xml: object 1 has no name"),
        (XML.format(CORNERS).replace("</name>", "</name><difficult>very</difficult>"), "object 1 has difficult 'very'"),
        ("<annotation>&#0;</annotation>", "train/a.xml is not valid XML (reference to invalid character"),
        ("<root><annotation/></root>", "train/a.xml is not a VOC annotation: its root element is <root>"),
        (
            '<?xml version="1.0" encoding="klingon"?><annotation/>',
            "train/a.xml declares the unknown encoding 'klingon': save it as UTF-8",
        ),
        (f"<annotation>{'<a>' * 100_000}{'</a>' * 100_000}</annotation>", "no VOC annotations with objects"),
        ("<annotation><size><width>1e9</width><height>5</height></size></annotation>", "the size is 1e+09 x 5: pixels"),
    ],
)
def test_xml_that_is_not_vocs(text: str, said: str, tmp_path: Path) -> None:
    write(tmp_path / "train" / "a.xml", text)
    image(tmp_path / "train" / "a.jpg")
    assert said in refused(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0.5 0.5 0.1", "labels/a.txt, line 2: 4 numbers: a class and four are expected"),
        ("0 0.9 0.5 0.5 0.1 0.1", "labels/a.txt, line 2: 6 numbers: a class and four are expected"),
        ("0 0.5 0.5 wide 0.1", "labels/a.txt, line 2: '0 0.5 0.5 wide 0.1' is not a row of numbers"),
        ("-1 0.5 0.5 0.1 0.1", "labels/a.txt, line 2: the class is -1: a whole number from 0"),
        ("0.5 0.5 0.5 0.1 0.1", "labels/a.txt, line 2: the class is 0.5: a whole number from 0"),
        ("nan 0.5 0.5 0.1 0.1", "labels/a.txt, line 2: the class is nan: a whole number from 0"),
        ("0" + " 0.5" * 1_000_001, "labels/a.txt, line 2: 1000002 numbers: a class and four are expected"),
        ("x" * 10_000_000, "labels/a.txt, line 2: 'xxxxx"),
    ],
)
def test_labels_that_are_not_yolos(text: str, said: str, tmp_path: Path) -> None:
    write(tmp_path / "data.yaml", "train: images\nval: images\nnames: [cat]\n")
    write(tmp_path / "labels" / "a.txt", f"0 0.5 0.5 0.1 0.1\n{text} \n")
    image(tmp_path / "images" / "a.jpg")
    assert said in refused(tmp_path)


ALIASES = "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names: [cat\ntrain: images", "data.yaml is not valid YAML: while parsing a flow sequence"),
        ("names: cat\ntrain: images", "data.yaml: names is 'cat': a list of class names"),
        ("names: []\ntrain: images", "data.yaml has no class names"),
        ("names: [cat, cat]\ntrain: images", "data.yaml names the class 'cat' twice"),
        ("names: [cat, ' ']\ntrain: images", "data.yaml: class 1 has an empty name"),
        ("names: {a: cat}\ntrain: images", "data.yaml: the keys of names are ['a']: 0, 1, 2, ... are expected"),
        ("names: [cat]\nnc: 3\ntrain: images", "data.yaml: nc is '3', and names has 1: make them agree"),
        ("names: [cat]", "data.yaml has no train and no val"),
        ("names: [cat]\ntrain:\nval: images", "data.yaml: train is empty: name the folder of the training images"),
        ("names: [cat, ]\nnc: 1\ntrain: empty", "data.yaml: train: there is no image in empty: add some, or remove"),
        ("names: [cat]\ntrain: imgs", "data.yaml: train: there is no imgs: give the folder"),
        ("names: [cat]\ntrain: {a: b}", "data.yaml: train is {'a': 'b'}: a folder is expected"),
        ("names: [cat]\ntrain: ../../etc", "data.yaml: train: the path '../etc' points outside"),
        ("names: [cat]\ntrain: /etc", "data.yaml: train: the path '/etc' points outside"),
        ("names: [cat]\ntrain: list.txt", "list.txt, line 1: the path '../secret.jpg' points outside"),
        (f"a: &a [x]\n{ALIASES}names: *i\ntrain: images", "data.yaml: names is {"),
        ("names: " + "[" * 10_000, "data.yaml is refused because it is nested too deeply"),
        ("names: !!python/object/apply:os.system ['touch owned']\ntrain: none", "data.yaml: train: there is no none"),
    ],
)
def test_yaml_that_is_not_yolos(text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data.yaml", text)
    write(tmp_path / "list.txt", "../secret.jpg\n")
    image(tmp_path / "images" / "a.jpg")
    (tmp_path / "empty").mkdir()
    assert said in refused(tmp_path)
    assert not (tmp_path / "owned").exists()


def test_a_list_of_something_else(tmp_path: Path) -> None:
    write(tmp_path / "data.yaml", "names: [cat]\ntrain: list.txt\n")
    write(tmp_path / "list.txt", "./\n")
    assert "list.txt, line 1: './' is not an image path: one path per line is expected" in refused(tmp_path)


def test_a_list_of_voc_that_is_empty(tmp_path: Path) -> None:
    voc(tmp_path / "Annotations" / "a.xml", [("cat", (1, 1, 9, 9))])
    image(tmp_path / "JPEGImages" / "a.jpg")
    write(tmp_path / "ImageSets" / "Main" / "train.txt", "a\n")
    write(tmp_path / "ImageSets" / "Main" / "val.txt", "\n \n")
    said = "ImageSets/Main/val.txt is empty: write one image name per line, or remove the file"
    assert refused(tmp_path) == said


def test_labels_without_names(tmp_path: Path) -> None:
    write(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.1 0.1\n")
    image(tmp_path / "images" / "a.jpg")
    assert "has labels, but no class names: write data.yaml with names, train and val" in refused(tmp_path)
    write(tmp_path / "data.yaml", "train: images\nval: images\n")
    assert refused(tmp_path).startswith("data.yaml has no class names: add them, such as")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat\n\ndog\n", "classes.txt, line 2: no class name: the lines name the classes 0, 1, 2, ... in order"),
        (
            "0 cat\n# two\n2 dog\n",
            "classes.txt, line 3: '2 dog' is class 1, because the lines are classes",
        ),
        ("cat\ncat\n", "classes.txt names the class 'cat' twice"),
        ("# nothing\n", "classes.txt has no class names"),
    ],
)
def test_a_file_of_names_that_leaves_the_order_open(text: str, said: str, tmp_path: Path) -> None:
    write(tmp_path / "yolo" / "labels" / "a.txt", "0 0.5 0.5 0.1 0.1\n")
    image(tmp_path / "yolo" / "images" / "a.jpg")
    voc(tmp_path / "voc" / "train" / "a.xml", [("cat", (1, 1, 9, 9))])
    image(tmp_path / "voc" / "train" / "a.jpg")
    for root in (tmp_path / "yolo", tmp_path / "voc"):
        write(root / "classes.txt", text)
        assert said in refused(root)


def test_yaml_in_utf_16_without_its_mark(tmp_path: Path) -> None:
    write(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.1 0.1\n")
    image(tmp_path / "images" / "a.jpg")
    (tmp_path / "data.yaml").write_bytes("names: [cat]\ntrain: images\nval: images\n".encode("utf-16-le"))
    assert refused(tmp_path) == "data.yaml looks like UTF-16: save it as UTF-8"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a thing of Unix")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    for name in ("train.json", "data.yaml"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "train").mkdir()
    os.mkfifo(tmp_path / "train" / "a.xml")
    assert not box_reader.recognizes(tmp_path)
    for data_format in box_reader.FORMATS:
        refused(tmp_path, data_format)


def test_an_empty_folder_of_each_format(tmp_path: Path) -> None:
    write(tmp_path / "readme.md", "nothing")
    assert "no COCO annotations: expected" in refused(tmp_path, "coco")
    assert "no VOC annotations with objects: expected" in refused(tmp_path, "voc")
    assert "no class names" in refused(tmp_path, "yolo")


def test_twice_the_boxes_are_twice_the_work(tmp_path: Path) -> None:
    """4,000 boxes in 200 images, and twice as many."""
    few, many = _boxes_in(tmp_path / "few", 200), _boxes_in(tmp_path / "many", 400)
    assert sum(len(sample.target) for samples in read(many).splits.values() for sample in samples) == 8_000
    assert calls(lambda: read(many)) < 2.5 * calls(lambda: read(few))


def _boxes_in(root: Path, images: int) -> Path:
    boxes = {f"{number}.png": [(3, (1 + k / 9, 2, 9, 9)) for k in range(20)] for number in range(images)}
    coco(root / "train.json", boxes)
    one = image(root / "images" / "one.png")
    for name in boxes:
        (root / "images" / name).hardlink_to(one)
    one.unlink()
    return root
