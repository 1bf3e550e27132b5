"""Options from a file, several seeds, and progress that a program reads."""

import json
import statistics

import numpy as np
import pytest
from scipy import stats

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.seeds import parse_seeds
from cifar_report.trainer.run import read_run
from cifar_report.trainer.spread import spread
from tests.cli.trainings import FAST, TRAIN_IMAGES, call, names, train


def test_a_file_gives_defaults_and_the_command_line_overrides_them(place):
    (place / "settings.toml").write_text(
        'model = "net.py"\ndata = "colours"\nepochs = 2\nlr = 0.05\noptimizer = "adamw"\n'
        'batch_size = 8\nema = 0.9\nflip-test = true\nrequire = ["params < 1k", "epochs <= 2"]\n'
    )
    result = call("--config", "settings.toml", *FAST, "--out", "run", "--lr", 0.01)
    assert result.exit_code == 0, result.stderr
    config = read_run(place / "run").config
    assert (config.optimizer["name"], config.schedule["peak"], config.batch_size) == ("AdamW", 0.01, 8)
    assert (config.average, config.flip_test, config.epochs) == (0.9, True, 2)
    assert config.constraints == ("params < 1k", "epochs <= 2")
    again = call(*config.command.replace("'", "").split()[2:4], "--data", "colours", "--out", "x", "--help")
    assert again.exit_code == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("learning = 0.1", "an unknown key 'learning'"),
        ("optimiser = 'sgd'", "did you mean optimizer?"),
        ("epochs = 2.5", "2.5"),
        ('epochs = "many"', "many"),
        ('optimizer = "adam"', "adam"),
        ("lr = ", "can't be read"),
        ("[train]\nlr = 1", "an unknown key 'train'"),
        ("lr = 2020-01-01", "a date in lr"),
        ('resume = "x"', "an unknown key 'resume'"),
    ],
)
def test_a_wrong_file_is_one_message(place, content, words):
    (place / "settings.toml").write_text(content)
    result = call("--config", "settings.toml", "--data", "colours", "--out", "run")
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("error:") == 1
    assert not (place / "run").exists()


def test_the_recorded_command_has_every_choice(place):
    options = ["--seed", 0, "--weight-decay", 0, "--schedule", "step", "--val", 3, "--lr", 0.123456789]
    assert train(*options, "--out", "run").exit_code == 0
    command = read_run(place / "run").config.command
    for words in ("--seed 0", "--weight-decay 0.0", "--schedule step", "--val 3", "--lr 0.123456789"):
        assert words in command
    assert "--mixup" not in command


def test_seeds_give_a_run_each_and_their_mean(place):
    result = train("--seeds", "0-2", "--out", "runs/three", "--require", "params < 1k")
    assert result.exit_code == 0, result.stderr
    runs = [read_run(place / "runs" / "three" / f"seed-{seed}") for seed in range(3)]
    assert [run.config.seed for run in runs] == [0, 1, 2]
    accuracies = [run.metrics.accuracy for run in runs]
    found = json.loads((place / "runs" / "three" / "seeds.json").read_text())["results"]
    assert found["test_accuracy"] == accuracies
    assert found["mean"] == pytest.approx(statistics.fmean(accuracies))
    assert f"test accuracy {found['mean']:.2f} % ± {found['half_width']:.2f}" in result.stdout
    assert result.stdout.splitlines()[-1] == "runs/three"
    single = train("--seed", 1, "--out", "single")
    assert single.exit_code == 0
    names = (place / "single", place / "runs" / "three" / "seed-1")
    first, second = ((name / "checkpoint.safetensors").read_bytes() for name in names)
    assert first == second


def test_seeds_are_shared_out_over_processes_and_resumed(place, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    result = train("--seeds", "0-2", "--out", "out")
    assert "other seeds are still to come" in result.stderr
    assert names(place / "out") == ["seed-1", "seeds.json"]
    before = (place / "out" / "seed-1" / "checkpoint.safetensors").stat().st_mtime_ns
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.delenv("RANK")
    result = call("--resume", "out")
    assert result.exit_code == 0, result.stderr
    assert "mean of 3 seeds" in result.stdout
    assert (place / "out" / "seed-1" / "checkpoint.safetensors").stat().st_mtime_ns == before


def test_seeds_that_miss_a_constraint_decide_the_exit_code(place):
    assert train("--seeds", "0,1", "--out", "out", "--require", "test_accuracy >= 101").exit_code == 1


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", (0, 1, 2, 3, 4)), ("3,1", (1, 3)), ("0, 7-8,8", (0, 7, 8))]
)
def test_seeds_are_read(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "3", "a-b", "-1", "4-2", "1-", "1;2"])
def test_seeds_that_are_none_or_one_are_refused(text):
    with pytest.raises(UsageError):
        parse_seeds(text)


def test_the_interval_is_students():
    values = [81.0, 82.5, 80.2, 81.7]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    found = spread(values)
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high))


def test_progress_as_json_is_an_object_per_line(place):
    result = train("--progress", "json", "--batch-size", 8, "--out", "run")
    events = [json.loads(line) for line in result.stderr.splitlines()]
    epochs = [event for event in events if event["event"] == "epoch"]
    lines = (place / "run" / "history.jsonl").read_text().splitlines()
    assert [{**json.loads(line), "event": "epoch", "epochs": 2} for line in lines] == epochs
    steps = [event for event in events if event["event"] == "step"]
    assert steps[-1]["seconds_left"] == 0
    assert steps[-1]["step"] == steps[-1]["steps"] == 3
    assert {"images_per_second", "data_wait", "loss"} <= set(steps[-1])


def test_no_progress_is_silence(place):
    assert train("--progress", "none", "--out", "run").stderr == ""


def test_history_is_written_as_csv_too(place):
    import csv

    train("--out", "run")
    with (place / "run" / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    history = read_run(place / "run").history
    assert [float(row["test_accuracy"]) for row in rows] == [epoch.test_accuracy for epoch in history]
    assert {row["validation_loss"] for row in rows} == {""}


def test_one_batch_is_learnt_by_heart_and_nothing_is_written(place):
    before = names(place)
    result = train("--overfit-batch", "--lr", 0.05)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"{TRAIN_IMAGES} images learnt by heart after ")
    assert names(place) == before


def test_a_run_begins_with_the_weights_of_another(place):
    assert train("--out", "first").exit_code == 0
    result = train(
        "--start", "first", "--out", "second", "--require", "epochs <= 3", command="train-and-report"
    )
    assert result.exit_code == 1, result.stderr
    assert "not met      epochs <= 3  measured 4" in result.stdout
    config = read_run(place / "second").config
    assert (config.start["run"], config.start["epochs"]) == ("first", 2)
    assert "--start first" in config.command
    readme = (place / "second" / "README.md").read_text()
    assert "after 2 epochs that followed 2 of an earlier run, seed 0" in readme
    assert "| Begun with: epochs | 2 |" in readme
    assert "began with what first had learnt" in readme
    page = call("first", "second", "--out", "both", command="report")
    assert page.exit_code == 0, page.stderr
    assert "| 2 of 2 | 2 of 2, 2 before |" in (place / "both" / "README.md").read_text()
    assert "second is complete" in call("--resume", "second").stderr


def test_a_run_can_not_begin_with_what_is_no_run(place):
    result = train("--start", "colours", "--out", "run")
    assert result.exit_code == 2
    assert "colours is not a run" in result.stderr
    assert not (place / "run").exists()
