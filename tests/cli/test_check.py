from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner, Result

from cifar_report.analyzer.constraints import Verdict
from cifar_report.cli.main import main
from cifar_report.cli.verdict_github import annotate
from cifar_report.cli.verdict_junit import junit


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["check", *arguments])


def code(*arguments: str) -> int:
    """Run the program as a shell would, so that errors become exit codes."""
    with pytest.raises(SystemExit) as caught:
        main.main(["check", *arguments])
    return int(caught.value.code)


def test_document_003_meets_its_two_bounds():
    result = run("document_003", "--max-params", "100000", "--min-rf", "52")
    assert result.exit_code == 0
    assert "86,816" in result.stdout
    assert "+13,184" in result.stdout
    assert "+15" in result.stdout


def test_document_003_misses_a_field_of_70_and_says_67():
    result = run("document_003", "--max-params", "100000", "--min-rf", "70")
    assert result.exit_code == 1
    line = next(line for line in result.stdout.splitlines() if line.startswith("rf >= 70"))
    assert line.split()[:10] == ["rf", ">=", "70", "✗", "not", "met", ">=", "70", "67", "-3"]


def test_bounds_are_inclusive():
    assert run("document_003", "--max-params", "86816", "--min-rf", "67").exit_code == 0
    assert run("document_003", "--max-params", "86815").exit_code == 1
    assert run("document_003", "--min-rf", "68").exit_code == 1


def test_units_are_read():
    assert run("document_003", "--max-params", "100k", "--max-macs", "19.2M").exit_code == 0
    assert run("document_003", "--max-macs", "19M").exit_code == 1


def test_an_assignment_is_checked_and_what_needs_training_is_open():
    result = run("document_003", "--assignment", "eva6-s7-late")
    assert result.exit_code == 1
    assert "not measured" in result.stdout
    dilated = run("document_003", "--require", "test_accuracy >= 87")
    assert dilated.exit_code == 4
    assert run("document_003", "--require", "test_accuracy >= 87", "--allow-unknown").exit_code == 0


def test_json_carries_every_verdict_and_the_exit_code():
    result = run("document_003", "--max-params", "100k", "--min-rf", "70", "--format", "json")
    data = json.loads(result.stdout)
    assert data["exit_code"] == result.exit_code == 1
    assert [verdict["state"] for verdict in data["verdicts"]] == ["met", "not met"]
    assert data["verdicts"][1]["measured"] == "67"
    assert set(data["verdicts"][0]) == {
        "constraint", "metric", "state", "required", "measured", "margin", "evidence"
    }  # fmt: skip


def test_markdown_is_a_table():
    lines = run("document_003", "--max-params", "100k", "--format", "markdown").stdout.splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 3


def test_results_go_to_the_file_and_talk_to_standard_error(tmp_path: Path):
    target = tmp_path / "verdict.json"
    result = run("document_003", "--max-params", "10", "--format", "json", "-o", str(target))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "1 not met" in result.stderr
    assert json.loads(target.read_text())["exit_code"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is nothing to check"),
        (["--max-params", "many"], "--max-params 'many' is not a number"),
        (["--require", "parms < 3"], "there is no metric 'parms'"),
        (["--require", "rf 3"], "can't read the constraint"),
        (["--assignment", "eva9"], "there is no assignment 'eva9'"),
        (["--max-params", "1k", "--input", "3,32"], None),
        (["--max-params", "1k", "--input", "3,a,32"], "--input '3,a,32' is not a shape"),
        (["--max-params", "1k", "--input", "3,0,32"], "is not a shape"),
        (["--max-params", "1k", "--format", "yaml"], "'yaml' is not one of"),
    ],
)
def test_wrong_usage_says_what_is_wrong(arguments, message, capsys):
    status = code("document_003", *arguments)
    error = capsys.readouterr().err
    assert "Traceback" not in error
    if message is None:  # a network for images gets something else: it is the network that can't run
        assert status == 3
    else:
        assert status == 2
        assert message in error


HEADER = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    """

FAULTY = {
    "raises": (
        "def forward(self, x):\n        x = self.conv(x)\n        raise ValueError('too\\nlate')",
        "too",
    ),
    "wants_another_shape": ("def forward(self, x):\n        return self.conv(x[:, :1])", "conv"),
    "needs_an_argument": ("def forward(self, x, y):\n        return self.conv(x)", "y"),
    "returns_nothing": ("def forward(self, x):\n        self.conv(x)", "NoneType"),
    "exits": ("def forward(self, x):\n        raise SystemExit(0)", "SystemExit"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_network_that_cannot_run_is_exit_code_3(fault, tmp_path, capsys):
    body, word = FAULTY[fault]
    path = tmp_path / "net.py"
    path.write_text(HEADER + body + "\n")
    status = code(str(path), "--max-params", "1k")
    captured = capsys.readouterr()
    assert status == 3
    assert captured.out == ""
    assert word in captured.err
    assert "Traceback" not in captured.err


def test_a_network_that_prints_does_not_disturb_the_result(tmp_path):
    path = tmp_path / "net.py"
    body = "def forward(self, x):\n        print('shape', x.shape)\n        return self.conv(x)\n"
    path.write_text(f"print('importing')\n{HEADER}{body}")
    result = run(str(path), "--max-params", "1k", "--format", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["verdicts"][0]["measured"] == "224"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return what writes a project's settings; the tests stand in a folder of it."""
    below = tmp_path / "src"
    below.mkdir()
    monkeypatch.chdir(below)

    def write(table: str) -> Path:
        path = tmp_path / "pyproject.toml"
        path.write_text(f"[tool.cifar-report]\n{table}\n")
        return path

    return write


def test_a_projects_settings_name_network_input_and_constraints_and_it_is_said(project):
    path = project('model = "document_003"\ninput = "3,48,48"\nrequire = ["params < 100k", "rf >= 68"]')
    result = run("--format", "json")
    data = json.loads(result.stdout)
    assert [verdict["constraint"] for verdict in data["verdicts"]] == ["params < 100k", "rf >= 68"]
    assert data["input_shape"] == [3, 48, 48]
    assert result.stderr.count(str(path)) == 3


def test_the_command_line_goes_before_the_settings(project):
    project('model = "no such"\ninput = "1,2"\nrequire = ["params < 1"]')
    result = run("document_003", "--input", "3,32,32", "--max-params", "100k")
    assert result.exit_code == 0
    assert "pyproject" not in result.stderr


def test_the_nearest_file_with_the_table_counts(project):
    project('require = ["params < 1"]')
    Path("pyproject.toml").write_text("[project]\nname = 'mine'\n")
    assert run("document_003").exit_code == 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('requires = ["rf > 3"]', "unknown key 'requires'"),
        ('require = "rf > 3"', "require of [tool.cifar-report] in "),
        ("require = [3]", "3 (int)"),
        ("model = 3", "expected: a text"),
        ("require = [", "can't read"),
        ('require = ["parms < 3"]', "there is no metric 'parms'"),
        ("", "there is nothing to check"),
    ],
)
def test_wrong_settings_say_what_and_where(project, table, message, capsys):
    project(table)
    assert code("document_003") == 2
    assert message in capsys.readouterr().err


def test_without_a_network_the_settings_are_named(project, capsys):
    project('require = ["rf > 3"]')
    assert code() == 2
    assert "there is no network to check" in capsys.readouterr().err


def made(state: str, text: str = "rf > 3", evidence: str = "") -> Verdict:
    return Verdict(text, "rf", state, "> 3", None, None, evidence)


def unescaped(text: str) -> str:
    """Undo it as the runner does: the percent sign last."""
    for code, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_github_annotations_point_at_the_class_and_escape_what_ends_them(project, monkeypatch):
    Path("my,net.py").write_text(HEADER + "def forward(self, x):\n        return self.conv(x)\n")
    project('require = ["params < 10"]')
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    result = run("my,net.py", "--format", "github")
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    assert line.startswith("::error file=my%2Cnet.py,line=5,title=params < 10::not met: measured 224")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(Path.cwd().parent))
    assert "file=src/my%2Cnet.py," in run("my,net.py", "--format", "github").stdout
    evidence = "100%, a::b\r\nc %0A"
    (command,) = annotate([made("unknown", "a: b, 5%", evidence)], None, "").splitlines()
    level, title, message = re.fullmatch(r"::(\w+) title=([^:,]*)::(.*)", command).groups()
    assert (level, unescaped(title)) == ("warning", "a: b, 5%")
    assert unescaped(message).endswith(evidence)


@pytest.mark.parametrize(("count", "lines", "more"), [(10, 10, ""), (11, 10, "2 more"), (30, 10, "21 more")])
def test_github_shows_ten_of_a_kind_so_the_rest_is_summed_up(count, lines, more):
    verdicts = [made("not met", f"rf > {i}") for i in range(count)] + [made("not measured")]
    found = annotate(verdicts, None, "").splitlines()
    errors = [line for line in found if line.startswith("::error")]
    assert len(errors) == lines
    assert more in errors[-1]
    assert len(found) == lines + 1
    assert f"rf > {count - 1}" in errors[-1]


def test_github_gets_a_step_summary_after_what_is_there(tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert run("document_003", "--max-params", "100k", "--format", "github").stdout.startswith("::notice")
    text = summary.read_text()
    assert text.startswith("before\n### document_003: 1 met\n\n| Constraint |")
    assert "| params <= 100k | ✓ met | <= 100,000 | 86,816 |" in text
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    result = run("document_003", "--max-params", "1", "--format", "github")
    assert result.exit_code == 2
    assert "can't write the step summary" in result.stderr


JUNIT = {
    "testsuites": ((), ["testsuite"]),
    "testsuite": (
        ("name", "package", "id", "hostname", "timestamp", "time", "tests", "failures", "errors", "skipped"),
        ["properties", "testcase", "system-out", "system-err"],
    ),
    "testcase": (("classname", "name", "time"), ["skipped", "error", "failure"]),
    "failure": (("message", "type"), []),
    "error": (("message", "type"), []),
    "skipped": (("message", "type"), []),
    "properties": ((), []),
    "system-out": ((), []),
    "system-err": ((), []),
}
"""Attributes and children in order: what Ant's schema asks for, and Jenkins' allows."""


def test_junit_has_a_case_per_constraint_and_a_place_for_every_state():
    result = run("document_003", "--max-params", "100k", "--min-rf", "70", "--require", "epochs < 3",
                 "--require", "layers(Liner) == 0", "--format", "junit")  # fmt: skip
    root = ElementTree.fromstring(result.stdout)
    for element in root.iter():
        attributes, children = JUNIT[element.tag]
        assert set(element.attrib) == set(attributes)
        places = [children.index(child.tag) for child in element]
        assert places == sorted(places)
    suite = root.find("testsuite")
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1"
    }  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp"))
    cases = {case.get("name"): [detail.tag for detail in case] for case in suite.iter("testcase")}
    assert cases == {
        "params <= 100k": [], "rf >= 70": ["failure"], "epochs < 3": ["skipped"],
        "layers(Liner) == 0": ["error"],
    }  # fmt: skip
    assert suite.find(".//failure").get("message") == "required >= 70, measured 67, margin -3"
    assert suite.find(".//error").get("message") == "required == 0, unknown"
    said = suite.find("system-out").text.splitlines()
    assert said[0].startswith(
        "met: params <= 100k: required <= 100,000, measured 86,816, margin +13,184; most"
    )


def test_junit_is_xml_whatever_the_evidence_says():
    text = junit("a<b", [made("not met", 'rf > "3"', "\x00 \x1b[31m <&> \ud800")])
    assert "<&>" in ElementTree.fromstring(text.encode()).find(".//failure").text


ROOT = Path(__file__).parents[2]


def step(
    folder: Path | None = None, runner: dict[str, str] | None = None, **inputs: str
) -> subprocess.CompletedProcess[str]:
    """Run the action's last step as a runner would: inputs by environment, in bash with -e.

    Args:
        folder: the checkout.
        runner: variables that the runner sets.
        inputs: what `with:` gives, underscores for hyphens.
    """
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    last = action["runs"]["steps"][-1]
    asked = {
        name: re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", text)[1] for name, text in last["env"].items()
    }
    assert set(asked.values()) == set(action["inputs"])
    given = {name.replace("_", "-"): text for name, text in inputs.items()}
    values = {name: given.get(key, action["inputs"][key]["default"]) for name, key in asked.items()}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", last["run"]]
    environment = {**os.environ, **(runner or {}), **values, "PATH": path}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)


def test_the_action_annotates_a_checkouts_file_and_writes_the_steps_summary(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "model.py").write_text(
        HEADER + "def forward(self, x):\n        return self.conv(x)\n"
    )
    (tmp_path / "mine.toml").write_text('id = "mine"\ntitle = "Mine"\nconstraints = ["epochs < 3"]\n')
    summary = tmp_path / "summary.md"
    runner = {
        "GITHUB_WORKSPACE": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_ACTIONS": "true",
    }
    arguments = {"model": "nets/model.py:Net", "assignment": "mine.toml"}
    done = step(tmp_path, runner, **arguments, require="augmentation has Affine(scale=(0.9, 1.1))\r\n")
    assert done.returncode == 4
    lines = done.stdout.splitlines()
    assert lines[0].startswith("::warning file=nets/model.py,line=5,title=epochs < 3::not measured")
    assert ",title=augmentation has Affine(scale=(0.9%2C 1.1))::not measured" in lines[1]
    assert summary.read_text().count("| - not measured |") == 2
    allowed = step(tmp_path, runner, **arguments, allow_unknown="true")
    assert allowed.returncode == 0
    assert summary.read_text().count("### nets/model.py:Net: ") == 2


def test_the_actions_first_step_installs_the_action_itself_and_its_shell_can_be_read():
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    first, _ = action["runs"]["steps"]
    assert first["run"].endswith('pip install --disable-pip-version-check "$GITHUB_ACTION_PATH"')
    for each in action["runs"]["steps"]:
        assert each["shell"] == "bash"
        assert "${{" not in each["run"]
        subprocess.run(["bash", "-n", "-c", each["run"]], check=True)


def test_the_action_checks_every_line_and_hands_the_exit_code_on():
    done = step(model="document_003", require="params < 100k\n\n  rf > 67\n")
    assert done.returncode == 1
    assert ",title=rf > 67::not met: measured 67, margin 0" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_the_action_runs_nothing_that_an_input_says():
    done = step(model="$(touch oops)", require="params < 1")
    assert done.returncode == 2
    assert "$(touch oops)" in done.stderr


def test_the_pre_commit_hook_runs_the_check_once_for_all_files():
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"] == "cifar-report check"
    assert (hook["id"], hook["language"], hook["pass_filenames"]) == ("cifar-report", "python", False)
    assert {"python", "jupyter", "toml"} == set(
        hook["types_or"]
    )  # networks, notebooks, assignments, settings
