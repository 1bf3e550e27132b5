"""A document as data: JSON of all of it, CSV of each table, and front matter for a model card."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cifar_report.reporter.tables import Table

if TYPE_CHECKING:
    from cifar_report.reporter.document import Document
    from cifar_report.reporter.facts import Facts

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula."""
_NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?( %)?$")


def as_json(document: Document) -> str:
    """Return the whole document; its fields are documented with their classes."""
    return json.dumps(dataclasses.asdict(document), indent=1, ensure_ascii=False) + "\n"


def tables(document: Document) -> Iterator[tuple[str, Table]]:
    """Yield every table with a name for its file, such as `network-layers`."""
    for field in dataclasses.fields(document):
        yield from _tables(field.name, getattr(document, field.name))


def as_csv(table: Table) -> str:
    """Return a table with its heading, and its total as the last row.

    A text that a spreadsheet would take for a formula starts with an apostrophe.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_cell(column.title) for column in table.columns])
    writer.writerows([[_cell(cell) for cell in row] for row in (*table.rows, *filter(None, [table.total]))])
    return stream.getvalue()


def front_matter(facts: Facts, document: Document) -> str:
    """Return YAML for the top of a model card, with the result that was measured and no claim beyond it.

    Every value is JSON, which YAML contains.
    """
    metrics, data = facts.run.metrics, facts.run.config.data
    lines: dict[str, Any] = {"library_name": "pytorch", "tags": ["image-classification", "cifar-report"]}
    if metrics is not None:
        result = {
            "task": {"type": "image-classification", "name": "Image classification"},
            "dataset": {"name": data.name, "type": data.name, "split": "test"},
            "metrics": [
                {
                    "type": "accuracy",
                    "name": f"Accuracy of the last epoch, seed {facts.run.config.seed} [%]",
                    "value": round(metrics.accuracy, 4),
                }
            ],
        }
        lines["model-index"] = [{"name": document.title, "results": [result]}]
    # U+0085, U+2028 and U+2029 end lines in YAML; escaped, as everything beyond ASCII, they don't.
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in lines.items())
    return f"---\n{text}---\n"


def _tables(name: str, value: Any) -> Iterator[tuple[str, Table]]:
    if isinstance(value, Table):
        yield name.replace("_", "-"), value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _tables(f"{name}-{field.name}", getattr(value, field.name))


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) and not _NUMBER.match(text) else text
