"""Changed copies of training images."""

import os
from pathlib import Path

import numpy as np

from graft.augmentation.random_layers import build_augmentation
from graft.parts.rows import read_parts
from images import SIDE, python, run
from trainings import COUNTS, STILL, pictures, place, stage_here

OFF = {**STILL, "augment.flip": "none", "augment.seed": 1}
OFF |= {"augment.brightness": 0.0, "augment.contrast": 0.0}


def test_each_image_is_changed_in_its_own_way() -> None:
    """In training alone, within the range of pixels, and anew with each call."""
    assert build_augmentation(OFF, SIDE) is None
    same = np.repeat(pictures(1)[0], 16, axis=0).astype("float32")
    strengths = {"flip": "horizontal_and_vertical", "rotation": 45, "shift": 0.2}
    strengths |= dict.fromkeys(["zoom", "brightness", "contrast"], 0.3)
    for name, strength in strengths.items():
        change = build_augmentation(OFF | {f"augment.{name}": strength}, SIDE)
        assert np.array_equal(change(same, training=False), same), name
        changed = np.concatenate([np.asarray(change(same, training=True)) for _ in range(2)])
        assert changed.min() >= 0 and changed.max() <= 255, name
        # A flip has four outcomes.
        count = len(np.unique(changed, axis=0))
        assert count == 4 if name == "flip" else count > 24, name
        again = build_augmentation(OFF | {f"augment.{name}": strength}, SIDE)
        assert np.array_equal(again(same, training=True), changed[:16]), name


def test_copies_follow_each_other(empty: Path) -> None:
    """All of a first copy, then all of a second one; the same on one core, in another process."""
    from graft.models.inference import run_graph

    place({"augment.flip": "horizontal", "augment.copies": 2})
    run("backbone")
    run("views")
    n = COUNTS["train"]
    pixels, labels = pictures(sum(COUNTS.values()))
    pixels, labels = pixels[:n], labels[:n]
    made = np.load("data/views/pixels.npy")
    assert made.shape == (2 * n, SIDE, SIDE, 3) and made.dtype == np.uint8
    mirrored = pixels[:, :, ::-1]
    turned = [
        [not np.array_equal(view, image) for view, image in zip(copy, pixels, strict=True)]
        for copy in np.split(made, 2)
    ]
    expected = [mirrored[i] if turned[k][i] else pixels[i] for k in range(2) for i in range(n)]
    assert np.array_equal(made, expected)
    assert turned[0] != turned[1] and all(n // 4 < sum(copy) < 3 * n // 4 for copy in turned)

    features = np.load("data/views/features.npy")
    graph = np.concatenate([*run_graph(Path("data/backbone/graph.xml"), made)])
    assert np.array_equal(features, graph) and features.dtype == np.float32
    samples = np.load("data/views/samples.npy")
    assert samples.shape == (3, 8, SIDE, SIDE, 3) and samples.dtype == np.uint8
    assert np.array_equal(samples[:, 0], pixels[[0, 1, 4]])
    assert len(np.unique(samples[:, 1:].reshape(21, -1), axis=0)) == 6

    train = read_parts(stage_here("views"), "data/tensors")["train"]
    both = train.with_views(Path("data/views/pixels.npy"))
    assert len(both) == 3 * n and np.array_equal(both.labels, np.tile(labels, 3))
    assert np.array_equal(both[:], np.concatenate([pixels, made]))

    names = [f"data/views/{name}.npy" for name in ("pixels", "features", "samples")]
    before = [Path(name).read_bytes() for name in names]
    code = "from graft.project.launcher import run_stage; run_stage(['views'])"
    one = sorted(os.sched_getaffinity(0))[:1] if hasattr(os, "sched_getaffinity") else []
    python((f"import os; os.sched_setaffinity(0, {one}); " if one else "") + code)
    assert [Path(name).read_bytes() for name in names] == before


def test_no_change_costs_nothing(empty: Path) -> None:
    """TensorFlow is not even imported; there are no copies and no samples."""
    place({})
    for kind in ("xml", "bin"):  # which must be there, and are not read
        Path("data/backbone").mkdir(exist_ok=True)
        Path(f"data/backbone/graph.{kind}").touch()
    code = """
        import sys
        from graft.project.launcher import run_stage
        run_stage(["views"])
        assert not {"tensorflow", "keras", "openvino"} & set(sys.modules)
    """
    python(code)
    made = {path.stem: np.load(path) for path in Path("data/views").iterdir()}
    assert made["pixels"].shape == (0, SIDE, SIDE, 3) and made["pixels"].dtype == np.uint8
    assert len(made["features"]) == 0 and made["features"].dtype == np.float32
    assert made["samples"].shape == (0, 8, SIDE, SIDE, 3) and made["samples"].dtype == np.uint8
