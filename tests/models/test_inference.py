"""Graphs run over rows."""

import os
from pathlib import Path

import pytest

from images import python

CODE = """
    import os
    from pathlib import Path
    import numpy as np
    from graft.head.linear_model import LinearModel
    from graft.models.inference import run_graph

    draw = np.random.default_rng(1)
    numbers = [draw.normal(size=shape).astype(np.float32) for shape in (32, 32, (32, 3), 3)]
    model = LinearModel(numbers[0], numbers[1] ** 2 + 1, *numbers[2:])
    model.save_graph(Path("graph.xml"))
    rows = draw.normal(size=(20_000, 32)).astype(np.float32)
    found, places = [], set()
    for answer in run_graph(Path("graph.xml"), rows):
        found.append(answer)
        places |= {len(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")}
    assert places == {len(os.sched_getaffinity(0))}, places
    assert np.allclose(np.concatenate(found), model.answer(rows), atol=1e-5)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
def test_a_part_of_the_machine_is_no_certain_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards side by side would otherwise share the first core, and leave the others idle."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    python(CODE, cwd=tmp_path)
