"""Networks in notebooks: what is run, which definition counts, and what is told of the rest."""

from __future__ import annotations

import json
import linecache
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cifar_report.analyzer import analyze
from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.analyzer.load import load_model
from tests.analyzer.loading import params, refused

Write = Callable[..., str]

IMPORTS = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"

NET = """class Net(nn.Module):
    def __init__(self, width=2):
        super().__init__()
        self.fc = nn.Linear(width, 2)
    def forward(self, x):
        return self.fc(x)
"""

MUST_NOT_RUN = "open('was_run', 'w')"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a notebook with these code cells, a text before each, and return its name."""
    monkeypatch.chdir(tmp_path)

    def writer(*cells: str, **metadata: Any) -> str:
        parts: list[dict[str, Any]] = []
        for cell in cells:
            parts.append({"cell_type": "markdown", "source": ["class Text(nn.Module): no code\n"]})
            parts.append({"cell_type": "code", "source": cell.splitlines(keepends=True), "outputs": []})
        notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": parts}
        (tmp_path / "book.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        return "book.ipynb"

    yield writer
    assert not Path("was_run").exists()


# What is taken


@pytest.mark.parametrize("name", ["", ":Net", ":Net()", ":Net(width=2)"])
def test_a_notebooks_network_is_found_by_the_rules_for_files(write: Write, name: str) -> None:
    loaded = load_model(write(IMPORTS, NET) + name)
    assert params(loaded) == 6
    assert loaded.source == Path("book.ipynb").resolve()
    assert loaded.name == f"book.ipynb{name or ':Net'}"
    assert loaded.note == ""


COLAB = (
    "!pip install -q torchsummary \\\n    nowhere_to_be_found\nfrom google.colab import drive\n"
    "drive.mount('/content/drive')\n%cd /content/drive/MyDrive",
    "%matplotlib inline\n" + IMPORTS + "from torchsummary_of_nobody import summary\n"
    "import matplotlib.pyplot as plt\nnn.Linear?\nfiles = !ls\n",
    "dropout_value = 0.25\nuse_cuda = torch.cuda.is_available()\n"
    "device = torch.device('cuda' if use_cuda else 'cpu')\nprint(device)\n"
    "train_loader = torch.utils.data.DataLoader(dataset, batch_size=64)",
    "%%time\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.fc = nn.Linear(2, 2)\n        self.drop = nn.Dropout(dropout_value)\n"
    "    def forward(self, x):\n        return F.relu(self.drop(self.fc(x.to(device))))",
    f"%%bash\n{MUST_NOT_RUN}",
    f"model = Net().to(device)\nsummary(model, (3, 32, 32))\nfor epoch in range(20):\n    {MUST_NOT_RUN}\n",
    f"with torch.no_grad():\n    {MUST_NOT_RUN}\nplt.plot([1, 2])\n!shutdown now",
)


def test_a_notebook_of_colab_is_read_without_its_commands_drives_and_training(write: Write) -> None:
    loaded = load_model(write(*COLAB))
    assert loaded.name == "book.ipynb:Net"
    assert loaded.note == ""
    assert dict(loaded.module.named_modules())["drop"].p == 0.25
    assert analyze(loaded.module, (2,)).totals.params == 6


@pytest.mark.parametrize(
    "cell",
    [
        "width = 2",
        "a, b = 1, 2\nwidth = a * b",
        "width: int = max(1, 2)",
        "width = 1\nwidth += 1",
        "sizes = dict(small=2)\nwidth = sizes['small']",
        "widths = {'net': 1}\nwidths['net'] = 2\nwidth = widths.get('net')",
        "if torch.cuda.is_available():\n    print('fast')\n    width = 2\nelse:\n    width = 2",
        "try:\n    import nowhere_to_be_found\nexcept ImportError:\n    nowhere = None\nwidth = 2",
        "import math\nwidth = int(math.sqrt(4))",
        "import dataclasses as d\n@d.dataclass\nclass Sizes:\n    net: int = 2\nwidth = Sizes().net",
        "double = lambda x: print(x)\nwidth = 2",
        "for x in range(3):\n    train(x)\nwidth = 2",
    ],
)
def test_constants_are_taken_as_far_as_they_are_computed_from_what_is_written(
    write: Write, cell: str
) -> None:
    assert params(load_model(write(IMPORTS, cell, NET.replace("width=2", "width=width") + MUST_NOT_RUN))) == 6


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        (["def build(n=2):\n    return nn.Linear(n, 2)"], "build"),
        (["model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())"], "model"),
        (["layers = [nn.Linear(2, 2)]\nmodel = nn.Sequential(*layers).eval()"], "model"),
        ([NET, "model = Net(5)", "model.fc = nn.Linear(2, 2)"], "model"),
        (["if True:\n    model = nn.Linear(2, 2)"], "model"),
    ],
)
def test_factories_and_instances_are_networks_too(write: Write, cells: list[str], name: str) -> None:
    loaded = load_model(write(IMPORTS, *cells))
    assert loaded.name == f"book.ipynb:{name}"
    assert params(loaded) == 6


def test_an_instance_of_another_class_is_not_even_made(write: Write) -> None:
    data = f"class Data(torch.utils.data.Dataset):\n    def __init__(self):\n        {MUST_NOT_RUN}\n"
    assert load_model(write(IMPORTS, data + "data = Data()", NET)).name == "book.ipynb:Net"


def test_methods_that_later_cells_add_are_taken(write: Write) -> None:
    add = "def add_to(cls):\n    def put(f):\n        setattr(cls, f.__name__, f)\n    return put"
    patch = "@add_to(Net)\ndef forward(self, x):\n    return self.fc(x) + 1"
    late = "def twice(self, x):\n    return 2 * x\nNet.twice = twice"
    loaded = load_model(write(IMPORTS, NET, add, patch, late) + ":Net")
    loaded.module.fc.weight.data.zero_()
    assert loaded.module(torch.zeros(2)).tolist() == (loaded.module.fc.bias + 1).tolist()
    assert loaded.module.twice(2) == 4


def test_of_a_class_defined_twice_the_last_counts_and_that_is_said(write: Write) -> None:
    loaded = load_model(write(IMPORTS, NET, NET.replace("width=2", "width=7"), "print('done')"))
    assert params(loaded) == 16
    assert loaded.note == "Net is defined 2 times; taking the last one, in code cell 3"


def test_a_future_import_holds_for_later_cells(write: Write) -> None:
    net = NET.replace("self, x", "self, x: unheard_of")
    assert params(load_model(write("from __future__ import annotations", IMPORTS, net))) == 6


def test_a_neighbour_is_imported_and_nothing_is_left_behind(write: Write) -> None:
    Path(write(IMPORTS + "from sizes_here import width\n", NET.replace("width=2", "width=width"))).stat()
    Path("sizes_here.py").write_text("print('neighbour')\nwidth = 2\n")
    before = set(sys.modules), list(sys.path)
    assert params(load_model("book.ipynb")) == 6
    assert "sizes_here" not in sys.modules
    assert list(sys.path) == before[1]


def test_text_kept_as_one_string_with_windows_line_ends_is_read(write: Write) -> None:
    write("")
    cell = {"cell_type": "code", "source": (IMPORTS + NET).replace("\n", "\r\n")}
    Path("book.ipynb").write_text("\ufeff" + json.dumps({"nbformat": 4, "cells": [cell]}), encoding="utf-8")
    assert params(load_model("book.ipynb")) == 6


def test_a_percent_sign_that_python_means_is_not_a_magic(write: Write) -> None:
    assert params(load_model(write(IMPORTS, "width = (5\n  % 3)\ntext = '''\n!ls\n'''\n", NET))) == 6


# What is told of the rest


def test_a_missing_library_is_told_only_by_the_network_that_needs_it(write: Write) -> None:
    late = "class Other(nowhere_to_be_found.Module):\n    pass"
    write(IMPORTS + "import nowhere_to_be_found\n", NET, late)
    assert params(load_model("book.ipynb:Net")) == 6
    message = refused("book.ipynb:Other")
    assert "No module named 'nowhere_to_be_found'" in message
    assert "book.ipynb, code cell 1, line 4: import nowhere_to_be_found" in message
    assert "next:     pip install nowhere_to_be_found" in message


def test_a_notebook_whose_only_network_lacks_its_library_says_so(write: Write) -> None:
    write("import nowhere_to_be_found", "class Net(nowhere_to_be_found.Module):\n    pass")
    assert "pip install nowhere_to_be_found" in refused("book.ipynb")


def test_a_star_import_that_fails_is_the_reason_for_what_is_missing(write: Write) -> None:
    write("from nowhere_to_be_found import *", NET)
    assert "pip install nowhere_to_be_found" in refused("book.ipynb")


@pytest.mark.parametrize(
    "cell",
    [
        "width = len(dataset.classes) + count()",
        "width = open('text.txt').read()",
        "width = 1\nfor i in range(2):\n    width = width + 1",
        "widths = []\nfor i in range(2):\n    widths.append(i)\nwidth = len(widths)",
        "with open('x') as f:\n    width = 3",
        "width = train()",
        "width = 2\ndel width",
    ],
)
def test_a_value_that_only_running_gives_is_named_instead_of_guessed(write: Write, cell: str) -> None:
    write(IMPORTS, cell, NET.replace("width=2", "").replace("width", "width"))
    message = refused("book.ipynb:Net")
    assert "comes from a statement that a check does not run" in message
    assert "book.ipynb, code cell 2, line " in message


def test_an_instance_that_only_running_gives_points_to_its_class(write: Write) -> None:
    write(IMPORTS, NET, "model = Net().to('cuda')")
    message = refused("book.ipynb:model")
    assert "code cell 3, line 1: model = Net().to('cuda')" in message
    assert "name book.ipynb:Net" in message


def test_a_value_that_forward_will_miss_is_said(write: Write) -> None:
    net = NET.replace("self.fc(x)", "self.fc(x) * scale")
    loaded = load_model(write(IMPORTS, "scale = train()", net))
    assert "scale comes from a statement" in loaded.note
    assert "code cell 2, line 1: scale = train()" in loaded.note
    with pytest.raises(ModelError, match=r"code cell 3, line 6: return self.fc\(x\) \* scale"):
        analyze(loaded.module, (2,))


def test_a_cell_that_is_not_python_is_left_out_and_said(write: Write) -> None:
    loaded = load_model(write(IMPORTS, NET, "x = 1\nprint 'python 2'"))
    assert params(loaded) == 6
    assert "book.ipynb, code cell 3, line 2 is not Python, so the cell is left out" in loaded.note


@pytest.mark.parametrize("name", ["", ":Net"])
def test_a_syntax_error_around_the_network_is_shown_with_cell_line_and_caret(write: Write, name: str) -> None:
    lines = refused(write(IMPORTS, NET.replace("2)\n", "2\n", 1)) + name).splitlines()
    assert lines[0].startswith("book.ipynb, code cell 2, line 4: syntax error: '(' was never closed")
    assert lines[1][lines[2].index("^")] == "("


def test_a_constructor_that_raises_shows_cell_and_line(write: Write) -> None:
    message = refused(write(IMPORTS, NET) + ":Net(width='two')")
    assert "book.ipynb, code cell 2, line 4: self.fc = nn.Linear(width, 2)" in message


def test_several_networks_are_listed_with_their_cells(write: Write) -> None:
    message = refused(write(IMPORTS, NET, "\n" + NET.replace("Net", "Other")))
    assert "Net (code cell 2, line 1)" in message
    assert "Other (code cell 3, line 2)" in message


@pytest.mark.parametrize("cells", [(), ("",), ("x = 1", "!ls")])
def test_a_notebook_without_a_network_is_refused(write: Write, cells: tuple[str, ...]) -> None:
    assert "book.ipynb defines no network" in refused(write(*cells))


# Files that are no notebooks of Python


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"cells": [', "can't be read as a notebook"),
        ("", "can't be read as a notebook"),
        ("[" * 100_000, "can't be read as a notebook"),
        ("[1, 2]", "is not a notebook"),
        ('{"cells": 3}', "is not a notebook"),
        ('{"nbformat": 3, "worksheets": [{"cells": []}]}', "old notebook format 3"),
    ],
)
def test_another_file_is_refused(write: Write, text: str, reason: str) -> None:
    Path(write()).write_text(text)
    assert reason in refused("book.ipynb", UsageError)


@pytest.mark.parametrize(
    "metadata",
    [{"kernelspec": {"language": "R", "name": "ir"}}, {"language_info": {"name": "R"}}],
)
def test_a_notebook_of_another_language_is_refused(write: Write, metadata: dict[str, Any]) -> None:
    message = refused(write("x <- 1", **metadata), UsageError)
    assert "another language" in message
    assert "found:    r" in message


def test_cells_that_hold_nonsense_are_no_crash(write: Write) -> None:
    write()
    cells = [None, {}, {"cell_type": "code"}, {"cell_type": "code", "source": [1, None]}]
    Path("book.ipynb").write_text(json.dumps({"cells": cells, "metadata": []}))
    assert "defines no network" in refused("book.ipynb")


def test_the_text_of_a_cell_can_be_looked_up(write: Write) -> None:
    file = Path(write(IMPORTS, NET)).resolve()
    load_model("book.ipynb")
    assert linecache.getline(f"{file}, code cell 2", 1) == "class Net(nn.Module):\n"
