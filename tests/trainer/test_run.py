"""Reading a run folder back."""

import json

import pytest

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.fit import train
from cifar_report.trainer.options import Options
from cifar_report.trainer.run import read_run


@pytest.fixture
def folder(tmp_path, data, network, notes, analysis):
    options = Options(epochs=1, batch_size=16, precision="float32", workers=0, constraints=("params < 9",))
    train(network, data, options, tmp_path / "run", notes, analysis=analysis)
    return tmp_path / "run"


def test_every_file_comes_back_as_it_was_written(folder, analysis):
    run = read_run(folder)
    assert run.config.constraints == ("params < 9",)
    assert run.config.data.classes == ("red", "green", "blue")
    assert run.analysis == analysis
    assert [epoch.epoch for epoch in run.history] == [1]
    assert run.metrics.count == 15
    assert sum(map(sum, run.metrics.confusion)) == 15
    assert [t.name for t in run.augmentation.transforms][-1] == "Normalize"
    assert run.environment == json.loads((folder / "environment.json").read_text())


def test_an_unfinished_run_has_no_metrics(folder):
    (folder / "metrics.json").unlink()
    assert read_run(folder).metrics is None


def test_no_such_folder(tmp_path):
    with pytest.raises(UsageError, match="there is no run folder"):
        read_run(tmp_path / "none")


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="a file"):
        read_run(tmp_path / "file")


def test_another_folder_is_no_run(tmp_path):
    with pytest.raises(UsageError, match=r"is not a run folder\n.*config.json"):
        read_run(tmp_path)


def test_another_schema_version_is_refused_by_number(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "schema_version": 99}))
    with pytest.raises(UsageError, match="schema version 99; this version of cifar-report reads 1"):
        read_run(folder)


@pytest.mark.parametrize("name", ["config.json", "analysis.json", "history.jsonl", "metrics.json"])
def test_a_damaged_file_is_named(folder, name):
    content = (folder / name).read_text()
    (folder / name).write_text(content[: len(content) // 2])
    with pytest.raises(UsageError, match=rf"{name} can't be read"):
        read_run(folder)
