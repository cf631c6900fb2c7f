"""The doctor on datasets that were broken in one way each, through the verb that users call."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_images import smooth_image
from PIL import Image

import mobilevit
from mobilevit.datasets import doctor
from mobilevit.datasets.finding import Finding
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.report import DataReport
from mobilevit.errors import DataError, UsageError
from mobilevit.tasks import recognize

SOUND = {"train/cat": 12, "train/dog": 12, "val/cat": 3, "val/dog": 3}


def found(report: DataReport, kind: str) -> Finding:
    (finding,) = [finding for finding in report.findings if finding.kind == kind]
    return finding


def read(root: Path):
    task = recognize(root)
    return task, task.read(root, ReadOptions())


def test_a_sound_dataset(tree):
    report = mobilevit.check(tree(SOUND))
    assert report.ok
    assert report.findings == []
    assert report.counts == {"train": {"cat": 12, "dog": 12}, "val": {"cat": 3, "dog": 3}}
    assert report.rows() == [{"class": "cat", "train": 12, "val": 3}, {"class": "dog", "train": 12, "val": 3}]
    assert report.suggested_image_size == 64


def test_unreadable_images_are_errors(tree):
    root = tree(SOUND)
    (root / "train/cat/empty.jpg").touch()
    (root / "train/cat/text.jpg").write_text("not an image")
    whole = (root / "val/dog/000.jpg").read_bytes()
    (root / "val/dog/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "val/dog/gone.jpg").symlink_to("nowhere.jpg")
    report = mobilevit.check(root)
    unreadable = found(report, "unreadable")
    assert unreadable.severity == "error"
    assert not report.ok
    assert {path.name for path in unreadable.paths} == {"empty.jpg", "text.jpg", "cut.jpg", "gone.jpg"}
    assert "4 images cannot be read" in unreadable.message
    assert "`skip_broken`" in unreadable.message
    assert "train/cat/empty.jpg is empty (0 bytes)" in unreadable.message
    assert str(root) not in unreadable.message


def test_a_class_that_is_all_broken_is_missing(tree):
    root = tree(SOUND | {"train/cow": 0, "val/cow": 1})
    (root / "train/cow/x.jpg").touch()
    report = mobilevit.check(root)
    missing = found(report, "missing-class")
    assert missing.severity == "error"
    assert "cow" in missing.message
    json.dumps(report.to_dict())


def test_nothing_readable_at_all(names_only):
    report = mobilevit.check(names_only(SOUND))
    assert not report.ok
    assert report.sizes is None
    json.dumps(report.to_dict())
    assert report.grid().height > 0


def test_duplicates_across_splits_exact_and_near(tree):
    root = tree(SOUND)
    shutil.copy(root / "train/cat/003.jpg", root / "val/cat/again.jpg")
    smooth_image(77, 320, 240).save(root / "train/dog/large.jpg", quality=90)
    smooth_image(77, 320, 240).resize((160, 120)).save(root / "val/dog/smaller.jpg")
    report = mobilevit.check(root)
    exact, near = found(report, "duplicate-across-splits"), found(report, "near-duplicate-across-splits")
    assert (exact.severity, near.severity) == ("warning", "warning")
    assert "train/cat/003.jpg = val/cat/again.jpg" in exact.message
    assert near.paths == (root / "train/dog/large.jpg", root / "val/dog/smaller.jpg")
    assert report.ok
    assert [[path.name for path in group] for group in report.duplicates] == [
        ["003.jpg", "again.jpg"],
        ["large.jpg", "smaller.jpg"],
    ]


def test_duplicates_inside_a_split_with_other_labels_and_with_the_same(tree):
    root = tree(SOUND)
    shutil.copy(root / "train/cat/003.jpg", root / "train/dog/is_cat.jpg")
    shutil.copy(root / "train/cat/005.jpg", root / "train/cat/twice.jpg")
    report = mobilevit.check(root)
    assert found(report, "label-conflict").severity == "warning"
    assert [path.name for path in found(report, "label-conflict").paths] == ["003.jpg", "is_cat.jpg"]
    assert found(report, "duplicate").severity == "info"
    assert [path.name for path in found(report, "duplicate").paths] == ["005.jpg", "twice.jpg"]


def test_odd_images(tree):
    root = tree(SOUND)
    odd = {
        "tiny": smooth_image(1, 20, 40),
        "long": smooth_image(2, 400, 64),
        "huge": Image.fromarray(np.tile(np.arange(250, dtype=np.uint8)[:, None, None], (16, 4000, 3))),
        "blank": Image.new("RGB", (64, 64), "navy"),
        "grayscale": smooth_image(3).convert("L"),
    }
    for kind, image in odd.items():
        image.save(root / f"train/cat/{kind}.jpg")
    smooth_image(4).save(root / "train/cat/suffix.jpg", "PNG")
    report = mobilevit.check(root)
    for kind in ("tiny", "long", "huge", "blank", "suffix"):
        assert [path.name for path in found(report, kind).paths] == [f"{kind}.jpg"]
    assert {path.name for path in found(report, "grayscale").paths} == {"grayscale.jpg", "huge.jpg"}
    assert report.ok


def test_a_grayscale_dataset_is_said_once(tmp_path):
    for split, count in (("train", 12), ("val", 2)):
        for label in ("a", "b"):
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                smooth_image(hash((split, label, number)) % 10**6).convert("L").save(folder / f"{number}.png")
    assert "the images are grayscale" in found(mobilevit.check(tmp_path), "grayscale").message


def test_files_that_are_not_used(tree):
    root = tree(SOUND)
    for name in ("train/cat/phone.cr2", "train/cat/labels.csv", "train/cat/Thumbs.db", ".DS_Store"):
        (root / name).touch()
    smooth_image(7).save(root / "train/stray.jpg")
    report = mobilevit.check(root)
    assert found(report, "unread-format").paths == (root / "train/cat/phone.cr2",)
    assert found(report, "other-files").paths == (root / "train/cat/labels.csv",)
    assert found(report, "outside").paths == (root / "train/stray.jpg",)


def test_findings_come_errors_first(tree):
    root = tree({"train/cat": 40, "train/dog": 3, "val/cat": 3, "val/dog": 3})
    (root / "train/cat/empty.jpg").touch()
    (root / "notes.txt").touch()
    severities = [finding.severity for finding in mobilevit.check(root).findings]
    assert severities == sorted(severities, key=("error", "warning", "info").index)
    assert set(severities) == {"error", "warning", "info"}


def test_the_report_is_plain_values(tree):
    report = mobilevit.check(tree(SOUND))
    told = json.loads(json.dumps(report.to_dict()))
    assert told["ok"] is True
    assert told["classes"][0] == {"id": "cat", "name": "cat", "train": 12, "val": 3, "weight": 1.0}
    assert told["sizes"]["short_side_px"] == {"min": 72, "p05": 72, "median": 72, "p95": 72, "max": 72}
    assert told["images"] == {"train": 24, "val": 6}


def test_progress_reaches_the_end(tree):
    calls: list[tuple[int, int]] = []
    mobilevit.check(tree({"a": 70, "b": 70}), progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1] == (140, 140)
    assert len(calls) > 1


def test_names_an_unknown_task(tree):
    with pytest.raises(UsageError, match="classification"):
        mobilevit.check(tree(SOUND), task="classifikation")


def test_the_fast_part_reads_headers_alone(tree):
    root = tree(SOUND)
    (root / "train/cat/empty.jpg").touch()
    whole = (root / "val/dog/000.jpg").read_bytes()
    (root / "val/dog/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (finding,) = doctor.quick_check(*read(root))
    assert (finding.severity, finding.kind) == ("error", "unreadable")
    assert finding.paths == (root / "train/cat/empty.jpg",)


def test_the_fast_part_says_that_it_looked_at_a_share(tree, monkeypatch):
    monkeypatch.setattr(doctor, "QUICK_IMAGES", 10)
    (finding,) = doctor.quick_check(*read(tree(SOUND)))
    assert (finding.severity, finding.kind) == ("info", "sampled")
    assert "checked 10 of 30 images" in finding.message


def test_without_broken_drops_and_counts_them(tree):
    root = tree(SOUND)
    whole = (root / "train/dog/000.jpg").read_bytes()
    (root / "train/dog/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "val/cat/empty.jpg").touch()
    task, dataset = read(root)
    readable, (finding,) = doctor.without_broken(task, dataset)
    assert {split: len(samples) for split, samples in readable.splits.items()} == {"train": 24, "val": 6}
    assert (finding.severity, finding.kind) == ("warning", "unreadable")
    assert "skipped 2 images of 32" in finding.message
    assert doctor.without_broken(task, readable) == (readable, [])


def test_without_broken_stops_where_a_class_or_a_split_is_lost(tree):
    root = tree(SOUND | {"train/cow": 0})
    (root / "train/cow/x.jpg").touch()
    with pytest.raises(DataError, match="no training image of cow can be read"):
        doctor.without_broken(*read(root))
    (root / "train/cow/x.jpg").unlink()
    (root / "train/cow").rmdir()
    for path in (root / "val").rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no image of val can be read"):
        doctor.without_broken(*read(root))


@pytest.mark.parametrize(("short_px", "image_size"), [(20, 32), (64, 64), (95, 64), (96, 96), (255, 224), (300, 256)])
def test_suggested_size_is_what_the_images_can_fill(tmp_path, short_px, image_size):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(3):
            smooth_image(number, short_px + 10, short_px).save(tmp_path / label / f"{number}.jpg")
    (tmp_path / "a" / "x.jpg").touch()
    assert doctor.suggest_image_size(*read(tmp_path)) == image_size


def test_no_size_can_be_suggested_without_an_image(names_only):
    with pytest.raises(DataError, match="can be read, after trying 24"):
        doctor.suggest_image_size(*read(names_only(SOUND)))


def test_an_interruption_stops_the_work(tree):
    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mobilevit.check(tree({"a": 70, "b": 70}), progress=stop)
