from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilevit import class_tables
from mobilevit.spec import ClassLabel, labels
from mobilevit.text import printable

REFERENCE = Path(__file__).parents[2] / "../shared/reference/classes"
TABLES = (class_tables.imagenet1k(), class_tables.coco80(), class_tables.voc21())

IMAGENETTE = {  # folder name -> wnid
    "cassette_player": "n02979186",
    "chain_saw": "n03000684",
    "church": "n03028079",
    "english_springer": "n02102040",
    "french_horn": "n03394916",
    "garbage_truck": "n03417042",
    "gas_pump": "n03425413",
    "golf_ball": "n03445777",
    "parachute": "n03888257",
    "tench": "n01440764",
}


def test_tables_have_their_classes_in_order() -> None:
    imagenet, coco, voc = TABLES
    assert (len(imagenet), len(coco), len(voc)) == (1000, 80, 21)
    assert imagenet[0] == ClassLabel("n01440764", "tench")
    assert imagenet[999].name == "toilet tissue"
    assert (coco[0], coco[79]) == (ClassLabel("1", "person"), ClassLabel("90", "toothbrush"))
    assert (voc[0].name, voc[20].name) == ("background", "tvmonitor")


@pytest.mark.parametrize("file", ["imagenet1k.tsv", "coco80.tsv", "voc21.tsv"])
def test_tables_equal_the_reference(file: str) -> None:
    if not REFERENCE.is_dir():
        pytest.skip(f"{REFERENCE} is not on this machine")
    assert (Path(class_tables.__file__).with_name(file)).read_bytes() == (REFERENCE / file).read_bytes()


@pytest.mark.parametrize("table", TABLES, ids=["imagenet", "coco", "voc"])
def test_every_class_is_found_by_its_id_and_by_a_name_that_it_alone_has(table: tuple[ClassLabel, ...]) -> None:
    assert class_tables.match([label.id for label in table], table) == list(range(len(table)))
    count = Counter(label.name.casefold() for label in table)
    found = class_tables.match([label.name for label in table], table)
    assert found == [i if count[label.name.casefold()] == 1 else None for i, label in enumerate(table)]


def test_imagenette_is_found_by_folder_names_and_by_wnids_both_ways() -> None:
    imagenet = class_tables.imagenet1k()
    by_name = class_tables.match(list(IMAGENETTE), imagenet)
    assert by_name == class_tables.match(list(IMAGENETTE.values()), imagenet)
    assert None not in by_name
    ten = list(range(10))
    assert class_tables.match(list(IMAGENETTE.values()), labels(IMAGENETTE)) == ten
    assert class_tables.match(list(IMAGENETTE), labels(IMAGENETTE.values())) == ten


def test_ambiguous_names_match_nothing() -> None:
    assert class_tables.match(["crane", "maillot", "cardigan", "horn"], class_tables.imagenet1k()) == [None] * 4


def test_a_name_goes_before_a_synonym_and_synonyms_count() -> None:
    imagenet = class_tables.imagenet1k()
    missile, tank_suit, trash_can = class_tables.match(["missile", "tank suit", "trash can"], imagenet)
    assert [imagenet[i].id for i in (missile, tank_suit, trash_can)] == ["n03773504", "n03710721", "n02747177"]


@given(st.data())
def test_matching_is_blind_to_case_and_separators(data: st.DataObject) -> None:
    table = class_tables.coco80()
    index = data.draw(st.integers(0, len(table) - 1))
    separator = data.draw(st.sampled_from(["", " ", "_", "-", "__"]))
    change = data.draw(st.sampled_from([str.upper, str.title, str.lower]))
    assert class_tables.match([change(table[index].name.replace(" ", separator))], table) == [index]


@given(st.lists(st.text(max_size=4).map(printable), max_size=6, unique=True), st.text(max_size=4))
def test_an_exact_id_always_matches_itself_and_anything_gets_an_answer(ids: list[str], label: str) -> None:
    table = labels(ids)
    assert class_tables.match(ids, table) == list(range(len(ids)))
    (found,) = class_tables.match([label], table)
    assert found is None or 0 <= found < len(ids)


def test_labels_of_symbols_stay_apart() -> None:
    assert class_tables.match(["-1", "1", "+", "-"], labels(["1", "-1", "-", "+"])) == [1, 0, 3, 2]
