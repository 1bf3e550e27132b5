"""Verdicts for GitHub and for JUnit's readers."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cifar_report.analyzer.constraints import Verdict
from cifar_report.cli.verdict_github import annotate
from cifar_report.cli.verdict_junit import junit
from tests.cli.program import call

run = partial(call, "check")


def made(state: str, text: str = "rf > 3", evidence: str = "") -> Verdict:
    return Verdict(text, "rf", state, "> 3", None, None, evidence)


def unescaped(text: str) -> str:
    """Undo it as the runner does: the percent sign last."""
    for code, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_github_annotations_point_at_the_class_and_escape_what_ends_them(project, convolution, monkeypatch):
    Path("my,net.py").write_text(convolution)
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
