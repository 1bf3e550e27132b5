"""The language of constraints: reads an expression, or points at the place that can't be read.

constraint  = bound { "or" bound }
bound       = metric operator number [ "sustained" N "epochs" ]
            | "device" operator word
            | "augmentation" "has" Transform [ "(" name = value, ... ")" ]
metric      = params | rf.before_gap | downsampling.strided_3x3 | layers(Linear) | ...

Numbers take `_` or `,` between digits and the units k, M, G and %.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

from cifar_report.analyzer import metrics
from cifar_report.analyzer.augmentation import TRANSFORMS, Wanted
from cifar_report.analyzer.errors import UsageError, did_you_mean

_UNITS = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000, "%": 1}
_OPERATOR = re.compile(r"<=|>=|==|!=|<|>")
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_TYPE = re.compile(r"\(\s*([A-Za-z_]\w*)\s*\)")
_NUMBER = re.compile(r"([+-]?[\d_,]*\.?\d+)([kMG%]?)")
_SUSTAINED = re.compile(r"sustained\s+(\d+)\s+epochs?\b")
_KEYWORD = {word: re.compile(rf"{word}\b") for word in ("or", "has", "sustained")}
_PARAMETER = re.compile(r"([A-Za-z_]\w*)\s*=\s*(\([^()]*\)|\[[^\[\]]*\]|'[^']*'|\"[^\"]*\"|[^,()\s]+)")
_DEVICES = ("cpu", "cuda", "mps", "xpu")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound on one metric, or a choice of several."""

    text: str
    """As written."""
    metric: str
    """With its argument, such as `layers(Linear)`."""
    op: str
    """`<`, `<=`, `==`, `!=`, `>=`, `>` or `has`."""
    bound: float | str | Wanted
    sustained: int = 0
    """Last epochs that all have to hold it; 0 asks for the last one alone."""
    otherwise: Constraint | None = None
    """What meets it as well, written after `or`."""

    @property
    def required(self) -> str:
        """The bound with its operator, such as `<= 100,000`."""
        bound = metrics.spell(self.bound) if isinstance(self.bound, float) else str(self.bound)
        epochs = f" sustained {self.sustained} epochs" if self.sustained else ""
        other = f" or {self.otherwise.metric} {self.otherwise.required}" if self.otherwise else ""
        return f"{self.op} {bound}{epochs}{other}"


def parse_constraint(text: str) -> Constraint:
    """Read a constraint.

    Raises:
        UsageError: points at the place that can't be read, or names what is near a misspelt name.
    """
    return _Reader(text).constraint()


class _Reader:
    """Goes through a text from left to right; `place` is how far it came."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def constraint(self) -> Constraint:
        bounds = [self.bound()]
        while self.take(_KEYWORD["or"]):
            bounds.append(self.bound())
        self.skip_space()
        if self.place != len(self.text):
            self.wrong("the end of the constraint; units are k, M, G and %")
        constraint: Constraint | None = None
        for metric, op, bound, sustained in reversed(bounds):
            constraint = Constraint(self.text.strip(), metric, op, bound, sustained, constraint)
        assert constraint is not None  # there is one bound at least
        return constraint

    def bound(self) -> tuple[str, str, float | str | Wanted, int]:
        metric = self.metric()
        if metric == "augmentation":
            if not self.take(_KEYWORD["has"]):
                self.wrong("has, as in 'augmentation has HorizontalFlip'")
            return metric, "has", self.wanted(), 0
        op = self.take(_OPERATOR)
        if op is None:
            self.wrong("one of < <= == != >= >")
        if metric == "device":
            return metric, self.equality(op), self.device(), 0
        number = self.take(_NUMBER)
        if number is None:
            self.wrong("a number, such as 100k, 52 or 87.5")
        figure = float(number[1].replace(",", "").replace("_", "")) * _UNITS[number[2]]
        return metric, op[0], figure, self.sustained(metric, op[0])

    def metric(self) -> str:
        name = self.take(_NAME)
        if name is None:
            self.wrong("a metric, such as params, rf or test_accuracy")
        if name[0] == "layers":
            kind = self.take(_TYPE)
            if kind is None:
                self.wrong("a type of layer in parentheses, as in layers(Linear)")
            return f"layers({kind[1]})"
        if not metrics.is_known(name[0]):
            self.place = name.start()
            self.misspelt("metric", name[0], metrics.names())
        return name[0]

    def equality(self, op: re.Match[str]) -> str:
        if op[0] not in ("==", "!="):
            self.place = op.start()
            self.wrong("== or !=: a device is a word, not a number")
        return op[0]

    def device(self) -> str:
        word = self.take(_NAME)
        if word is None:
            self.wrong(f"a device: {', '.join(_DEVICES)}")
        if word[0] not in _DEVICES:
            self.place = word.start()
            self.misspelt("device", word[0], _DEVICES)
        return word[0]

    def sustained(self, metric: str, op: str) -> int:
        self.skip_space()
        start = self.place
        if not self.take(_KEYWORD["sustained"]):
            return 0
        self.place = start
        if metric not in metrics.WITH_HISTORY:
            self.wrong(f"nothing more: only {', '.join(metrics.WITH_HISTORY)} has a value per epoch")
        if op in ("==", "!="):
            self.wrong("nothing more: only a bound with < <= >= > can be sustained")
        match = self.take(_SUSTAINED)
        if match is None or int(match[1]) < 1:
            self.place = start
            self.wrong("'sustained N epochs' with N of at least 1")
        return int(match[1])

    def wanted(self) -> Wanted:
        name = self.take(_NAME)
        if name is None:
            self.wrong("a transform, such as HorizontalFlip or CoarseDropout(holes=1)")
        near = get_close_matches(name[0], TRANSFORMS, n=1, cutoff=0.75)
        if name[0] not in TRANSFORMS and near:
            self.place = name.start()
            self.misspelt("transform", name[0], TRANSFORMS)
        parameters: list[tuple[str, Any]] = []
        if self.take(re.compile(r"\(")):
            while not self.take(re.compile(r"\)")):
                if parameters and not self.take(re.compile(",")):
                    self.wrong("a comma or a closing parenthesis")
                parameters.append(self.parameter())
        return Wanted(name[0], tuple(parameters))

    def parameter(self) -> tuple[str, Any]:
        match = self.take(_PARAMETER)
        if match is None:
            self.wrong("a parameter with its value, such as height=16")
        try:
            return match[1], ast.literal_eval(match[2])
        except (ValueError, SyntaxError):
            self.place = match.start(2)
            self.wrong("a number, a tuple of numbers, True, False, None or a text in quotes")

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Go past a pattern if it is what comes next."""
        self.skip_space()
        match = pattern.match(self.text, self.place)
        if match:
            self.place = match.end()
        return match

    def skip_space(self) -> None:
        while self.place < len(self.text) and self.text[self.place].isspace():
            self.place += 1

    def _shown(self) -> str:
        line = "".join(" " if character.isspace() else character for character in self.text)
        return f"  {line}\n  {' ' * self.place}^"

    def wrong(self, expected: str) -> NoReturn:
        raise UsageError(
            f"can't read the constraint\n{self._shown()}",
            expected=expected,
            hint="write it like 'params < 100k' or 'rf >= 52'",
        )

    def misspelt(self, kind: str, name: str, known: Iterable[str]) -> NoReturn:
        near = get_close_matches(name, list(known), n=3, cutoff=0.4)
        hint = did_you_mean(near, f"{kind}s: {', '.join(known)}")
        raise UsageError(f"there is no {kind} {name!r}\n{self._shown()}", hint=hint)
