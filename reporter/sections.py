"""The parts of a report by name: which there are, and which of them a user wants in what order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from cifar_report.analyzer.errors import UsageError, did_you_mean


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report; its name is that of the templates' block, and its anchor in HTML."""

    name: str
    title: str

    @property
    def anchor(self) -> str:
        """The address of its heading on GitHub, which makes it of the title."""
        return self.title.lower().replace(" ", "-")


SECTIONS = (
    Section("verdict", "Verdict"),
    Section("assignment", "Assignment"),
    Section("goals", "Goals achieved"),
    Section("dataset", "Dataset"),
    Section("augmentation", "Augmentation"),
    Section("summary", "Model summary"),
    Section("diagram", "Network diagram"),
    Section("field", "Receptive field and cost"),
    Section("structure", "Structure"),
    Section("training", "Training"),
    Section("results", "Results"),
    Section("attention", "Where the network looks"),
    Section("reproduce", "Reproduce"),
    Section("limits", "Limits"),
)


def choose(names: Sequence[str]) -> tuple[Section, ...]:
    """Return sections by name, in the order of the names; all of them for no names.

    Raises:
        UsageError: an unknown name, or one that is there twice.
    """
    known = {section.name: section for section in SECTIONS}
    for place, name in enumerate(names):
        if name not in known:
            raise UsageError(
                f"there is no section {name!r}",
                expected=f"some of {', '.join(known)}",
                hint=did_you_mean(get_close_matches(name, known, n=1)),
            )
        if name in names[:place]:
            raise UsageError(f"the section {name!r} is named twice")
    return tuple(known[name] for name in names) or SECTIONS
