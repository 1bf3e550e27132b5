"""`check --watch`, run as users run it: a process, files that are saved, and what it says then."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.judgement import Judgement
from cifar_report.cli.main import main
from cifar_report.cli.watch_run import Checked

PATIENCE = 240.0
"""Seconds until a test gives up; no test is about time."""

BLOCKS = "from torch import nn\n\ndef conv(i, o):\n    return nn.Conv2d(i, o, {kernel})\n"
MODEL = """
from blocks import conv
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = conv(3, {width})

    def forward(self, x):
        {before}
        return self.conv(x)
"""


def model(width: int = 4, before: str = "pass") -> str:
    """Return a network of 28 parameters a channel, as a file."""
    return MODEL.format(width=width, before=before)


class Watch:
    """A running `cifar-report check --watch`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "cifar_report.cli", "check", *arguments, "--watch"]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(folder / "site-packages"),
        }
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.results: list[str] = []
        for stream, take in (
            (self.process.stderr, self.lines.put),
            (self.process.stdout, self.results.append),
        ):
            threading.Thread(target=self._listen, args=(stream, take), daemon=True).start()

    def _listen(self, stream, take) -> None:
        for line in stream:
            take(line.rstrip("\n"))
        if take == self.lines.put:
            self.lines.put(None)

    def until(self, *texts: str) -> str:
        """Wait for a line with each of the texts, in that order; return all that was said until then."""
        said, waiting, end = [], list(texts), time.monotonic() + PATIENCE
        while waiting:
            try:
                line = self.lines.get(timeout=max(end - time.monotonic(), 0.01))
            except queue.Empty:
                line = None
            assert line is not None, f"{waiting[0]!r} was never said, but\n" + "\n".join(said)
            said.append(line)
            while waiting and waiting[0] in line:
                waiting.pop(0)
        return "\n".join(said)

    def end(self, how: int = signal.SIGINT) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "blocks.py").write_text(BLOCKS.format(kernel=3))
    (tmp_path / "model.py").write_text(model())
    (tmp_path / "pyproject.toml").write_text("[tool.cifar-report]\n")  # so that none above it counts
    return tmp_path


@pytest.fixture
def watch(folder: Path) -> Iterator:
    """Return what starts a watch in the folder; all are ended after the test."""
    started: list[Watch] = []

    def start(*arguments: str) -> Watch:
        started.append(Watch(folder, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()
        for stream in (each.process.stdin, each.process.stdout, each.process.stderr):
            stream.close()


def replace(path: Path, text: str) -> None:
    """Save as careful editors do: write beside, rename."""
    beside = path.with_suffix(".tmp")
    beside.write_text(text)
    beside.replace(path)


def processes() -> dict[int, tuple[int, str]]:
    """Return the parent and the state of every process; small images have /proc, but no ps."""
    found = {}
    if not Path("/proc/self/stat").exists():
        table = subprocess.run(["ps", "-axo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
        rows = [line.split() for line in table.stdout.splitlines()]
        return {int(row[0]): (int(row[1]), row[2][0]) for row in rows}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            found[int(path.parent.name)] = (int(parent), state)
    return found


def children(process: int) -> list[int]:
    """Return the processes that a process has started."""
    return [each for each, (parent, _) in processes().items() if parent == process]


def is_running(process: int) -> bool:
    """Return whether there is a process that hasn't ended; one may wait for its parent to take note."""
    return processes().get(process, (0, "Z"))[1] != "Z"


def await_true(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_save_of_the_file_or_of_a_sibling_is_checked_and_told_with_before_and_after(folder, watch):
    running = watch("model.py", "--require", "params < 200", "--require", "rf > 3")
    running.until(
        "model.py:Net: 1 met, 1 not met", "watching blocks.py, model.py, pyproject.toml; Ctrl-C ends"
    )
    replace(folder / "model.py", model(width=6))
    running.until("model.py changed", "since the last check:", "params < 200: 112 → 168, still met")
    (folder / "blocks.py").write_text(BLOCKS.format(kernel=5))
    running.until(
        "blocks.py changed",
        "params < 200: met → not met, 168 → 456",
        "rf > 3: not met → met, 3 → 5",
    )
    os.utime(folder / "model.py")
    running.until("model.py changed", "since the last check: no change")
    assert running.end() == 130
    assert "stopped" in running.until("stopped")
    rows = [line.partition("< 200")[2] for line in running.results if line.startswith("params")]
    assert [row.partition("< 200")[2].split()[0] for row in rows] == ["112", "168", "456", "456"]


def test_an_installed_library_is_imported_ahead_with_the_variables_that_the_file_sets(folder, watch):
    (folder / "site-packages").mkdir()
    library = "import os, sys\nsys.stderr.write(f'imported {os.environ.get(\"LOUD\")}\\n')\n"
    (folder / "site-packages" / "library.py").write_text(library)
    path, loud = folder / "model.py", "import os, sys\nos.environ['LOUD'] = 'no'\nimport library\n"
    tells = "sys.stderr.write(f'LOUD was {os.environ.get(\"LOUD\")}\\n')\n"
    path.write_text(loud + model())
    running = watch("model.py", "--max-params", "1k")
    said = running.until("1 met", "imported no", "watching")
    assert said.count("imported no") == 2  # by the check, and by the watch before it says that it watches
    path.write_text("import os, sys\n" + tells + loud + model(width=5))
    said = running.until("112 → 140")
    assert "imported" not in said
    assert "LOUD was None" in said
    path.write_text(loud + model(width=6))
    assert "imported" not in running.until("140 → 168")
    assert running.end() == 130


def test_what_fails_is_told_and_mended_by_the_next_save_and_ctrl_c_ends_a_check_that_runs(folder, watch):
    path = folder / "model.py"
    running = watch("model.py:Net", "--max-params", "1k")
    running.until("1 met", "watching")
    path.write_text(model() + "def (:\n")
    running.until("syntax error")
    path.write_text(model(before="raise ValueError('not today')"))
    running.until("not today")
    path.write_text(model(before="import os; os._exit(9)"))
    running.until("the check ended without a result, with code 9")
    (folder / "blocks.py").unlink()
    running.until("No module named 'blocks'")
    (folder / "parts.py").write_text(BLOCKS.format(kernel=3))
    running.until("No module named 'blocks'")
    path.write_text(model(width=5).replace("blocks", "parts"))
    running.until("params <= 1k: 112 → 140, still met", "watching model.py, parts.py")
    path.unlink()
    running.until("there is no file model.py")
    path.write_text(model(width=6).replace("blocks", "parts"))
    running.until("140 → 168")
    path.write_text(model(before="while True: pass").replace("blocks", "parts"))
    running.until("model.py changed")
    await_true(lambda: children(running.process.pid))
    (check,) = children(running.process.pid)
    os.kill(check, signal.SIGINT)  # a terminal sends it to both, and the check leaves it to the watch
    assert running.end() == 130
    assert "error" not in running.until("stopped")
    assert not is_running(check)


def test_a_network_that_never_returns_is_given_up_at_the_next_save_and_with_the_watch(folder, watch):
    path = folder / "model.py"
    path.write_text(model(before="while True: pass"))
    running = watch("model.py", "--max-params", "1k")
    running.until("still checking")
    path.write_text(model())
    running.until("model.py:Net: 1 met")
    path.write_text(model(before="while True: pass"))
    running.until("model.py changed", "still checking")
    await_true(lambda: children(running.process.pid))
    (check,) = children(running.process.pid)
    running.end(signal.SIGKILL)  # not even then is a process left over
    await_true(lambda: not is_running(check))


def test_settings_assignments_and_files_of_the_network_itself_are_watched(folder, watch):
    (folder / "width.json").write_text("4")
    reads = "import json, pathlib\nwidth = json.loads(pathlib.Path('width.json').read_text())\n"
    writes = "open('log.txt', 'a').write('built')\nopen('log.txt').read()\n"
    (folder / "model.py").write_text(
        reads + writes + model().replace("{width}", "width").replace("4)", "width)")
    )
    (folder / "mine.toml").write_text('id = "mine"\ntitle = "Mine"\nconstraints = ["params < 1k"]\n')
    (folder / "pyproject.toml").write_text(
        '[tool.cifar-report]\nmodel = "model.py"\nassignment = "mine.toml"\n'
    )
    running = watch()
    running.until("watching blocks.py, mine.toml, model.py, pyproject.toml and 1 more")
    (folder / "width.json").write_text("8")
    running.until("width.json changed", "params < 1k: 112 → 224, still met")
    (folder / "mine.toml").write_text(
        'id = "mine"\ntitle = "Mine"\nconstraints = ["params < 1k", "rf > 3"]\n'
    )
    running.until("mine.toml changed", "rf > 3: new, not met, 3")
    (folder / "mine.toml").write_text('id = "mine"\ntitle = "Mine"\nconstraints = ["rff > 3"]\n')
    running.until("there is no metric 'rff'")
    replace(folder / "pyproject.toml", '[tool.cifar-report]\nmodel = "model.py"\nrequire = ["rf > 2"]\n')
    running.until("pyproject.toml changed", "rf > 2: new, met, 3", "params < 1k: no longer asked for")
    (folder / "mine.toml").write_text("not read any more")
    (folder / "width.json").write_text("2")
    running.until("width.json changed", "since the last check: no change")
    assert running.end() == 130


def test_a_notebook_is_watched_and_a_burst_of_saves_ends_with_the_last_one(folder, watch):
    def notebook(width: int) -> str:
        lines = (
            model(width).replace("from blocks", "from torch import nn\nfrom blocks").splitlines(keepends=True)
        )
        cell = {"cell_type": "code", "source": lines, "metadata": {}, "outputs": [], "execution_count": 1}
        kernel = {"language_info": {"name": "python"}}
        return json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})

    path = folder / "net.ipynb"
    path.write_text(notebook(4))
    running = watch("net.ipynb:Net", "--max-params", "1k", "--format", "json", "-o", "verdicts.json")
    running.until("watching blocks.py, net.ipynb, pyproject.toml;")
    for width in range(5, 25):
        path.write_text(notebook(width)[: width * 10])
        path.write_text(notebook(width))
        time.sleep(0.01)
    said = ""
    while " → 672, still met" not in said:  # 24 channels of 28 parameters each
        said = running.until("since the last check", "params <= 1k")
    assert json.loads((folder / "verdicts.json").read_text())["verdicts"][0]["measured"] == "672"
    assert running.results == []
    assert running.end() == 130


def test_wrong_usage_ends_a_watch_before_it_begins(watch):
    running = watch("modle.py", "--max-params", "1k")
    running.until("did you mean model.py")
    assert running.process.wait(PATIENCE) == 2


def test_without_a_file_there_is_nothing_to_watch(monkeypatch, capsys):
    judgement = Judgement("a table", "resnet18: 1 met", 0, ())
    monkeypatch.setattr(
        "cifar_report.cli.watch.run", lambda request, states, verbose: Checked(judgement, (), {})
    )
    arguments = ["check", "torchvision:resnet18", "--max-params", "1", "--watch"]
    with pytest.raises(UsageError, match="no file to watch: torchvision:resnet18"):
        main.main(arguments, standalone_mode=False)
    assert capsys.readouterr().out == "a table\n"


@pytest.mark.parametrize("code", [2, 3])
def test_what_no_save_can_mend_ends_the_watch_with_its_code(monkeypatch, code):
    monkeypatch.setattr("cifar_report.cli.watch.run", lambda request, states, verbose: code)
    with pytest.raises(SystemExit) as caught:
        main.main(["check", "torchvision:resnet18", "--max-params", "1", "--watch"])
    assert caught.value.code == code
