"""Verdicts as JUnit XML: a test case for each constraint, for the test views of CI servers.

There is no one format. This one holds to what Ant's schema (windyroad/JUnit-Schema) and Jenkins' both allow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from cifar_report.analyzer.constraints import Verdict

_ELEMENTS = {"not met": "failure", "unknown": "error", "not measured": "skipped"}
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""


def junit(model: str, verdicts: Sequence[Verdict]) -> str:
    """Return a test suite named after the network: failures are not met, errors unknown, skips unmeasured."""
    counts = {
        plural: str(sum(verdict.state == state for verdict in verdicts))
        for plural, state in (("failures", "not met"), ("errors", "unknown"), ("skipped", "not measured"))
    }
    root = ElementTree.Element("testsuites")
    names = {"name": _clean(model), "package": "cifar_report", "id": "0", "hostname": "localhost"}
    when = {"timestamp": datetime.now().isoformat(timespec="seconds"), "time": "0"}
    totals = {"tests": str(len(verdicts)), **counts}
    suite = ElementTree.SubElement(root, "testsuite", {**names, **when, **totals})
    ElementTree.SubElement(suite, "properties")
    for verdict in verdicts:
        _add_case(suite, model, verdict)
    lines = [f"{v.state}: {v.constraint}: {_message(v)}; {v.evidence}" for v in verdicts]
    ElementTree.SubElement(suite, "system-out").text = _clean("\n".join(lines))
    ElementTree.SubElement(suite, "system-err")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _add_case(suite: ElementTree.Element, model: str, verdict: Verdict) -> None:
    names = {"classname": _clean(model), "name": _clean(verdict.constraint), "time": "0"}
    case = ElementTree.SubElement(suite, "testcase", names)
    if verdict.state in _ELEMENTS:
        about = {"message": _clean(_message(verdict)), "type": verdict.state}
        detail = ElementTree.SubElement(case, _ELEMENTS[verdict.state], about)
        detail.text = _clean(verdict.evidence)


def _message(verdict: Verdict) -> str:
    measured = f"measured {verdict.measured}" if verdict.measured else verdict.state
    margin = f", margin {verdict.margin}" if verdict.margin else ""
    return f"required {verdict.required}, {measured}{margin}"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("?", text)
