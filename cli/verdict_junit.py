"""Verdicts as JUnit XML: a test case for each constraint, for the test views of CI servers."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    totals = {"tests": str(len(verdicts)), **counts}
    root = ElementTree.Element("testsuites", totals)
    suite = ElementTree.SubElement(root, "testsuite", {"name": _clean(model), **totals})
    for verdict in verdicts:
        names = {"classname": _clean(model), "name": _clean(verdict.constraint), "time": "0"}
        case = ElementTree.SubElement(suite, "testcase", names)
        message = (
            f"required {verdict.required}, measured {verdict.measured or verdict.state}"
            f"{f', margin {verdict.margin}' if verdict.margin else ''}"
        )
        if verdict.state in _ELEMENTS:
            detail = ElementTree.SubElement(case, _ELEMENTS[verdict.state], {"message": _clean(message)})
            detail.text = _clean(verdict.evidence)
        else:
            ElementTree.SubElement(case, "system-out").text = _clean(f"{message}\n{verdict.evidence}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("?", text)
