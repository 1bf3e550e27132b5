"""What TensorBoard reads of a run."""

import json
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.fit import resume, train
from cifar_report.trainer.options import Options

OPTIONS = Options(
    epochs=3, batch_size=20, workers=0, precision="float32", memory_format="channels_last", tensorboard=True
)


def scalars(folder):
    """Return the (epoch, value) pairs of every tag."""
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {tag: [(row.step, row.value) for row in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def expected(run, tag):
    """Return the same from the run's `history.jsonl`; events are in float32."""
    kind, _, split = tag.partition("/")
    field = f"{split}_{kind}" if split else kind
    rows = [json.loads(line) for line in (run.folder / "history.jsonl").read_text().splitlines()]
    return [(row["epoch"], pytest.approx(row[field], rel=1e-6)) for row in rows]


def test_the_events_are_the_history(network, data, analysis, notes, tmp_path):
    run = train(network, data, OPTIONS, tmp_path / "run", notes, analysis=analysis)
    found = scalars(run.folder)
    for tag in ("loss/train", "loss/test", "accuracy/train", "accuracy/test", "learning_rate"):
        assert found[tag] == expected(run, tag)
    assert len(found["learning_rate"]) == 3


def test_a_run_that_stopped_goes_on_with_each_epoch_once(make_network, data, analysis, notes, tmp_path):
    class Stop(type(notes)):
        def epoch(self, epoch, epochs):
            if epoch.epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(make_network(), data, OPTIONS, tmp_path / "run", Stop(), analysis=analysis)
    assert [step for step, _ in scalars(tmp_path / "run")["learning_rate"]] == [1, 2]
    run = resume(make_network(), data, tmp_path / "run", notes)
    found = scalars(run.folder)
    assert found["loss/test"] == expected(run, "loss/test")
    assert [step for step, _ in found["loss/test"]] == [1, 2, 3]


def test_without_the_library_nothing_is_begun_and_the_extra_is_named(
    network, data, analysis, notes, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError, match=r"tensorboard is needed(?s:.*)cifar-report\[tensorboard\]"):
        train(network, data, OPTIONS, tmp_path / "run", notes, analysis=analysis)
    assert list(tmp_path.iterdir()) == []
