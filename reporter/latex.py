r"""Text into LaTeX so that nobody's text can become a command.

The result compiles with pdfLaTeX, XeLaTeX and LuaLaTeX; pdfLaTeX prints a character beyond Latin as its
number, which `\DeclareUnicodeCharacter` in the preamble sees to.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from cifar_report.reporter.tables import Table
from cifar_report.reporter.wording import one_line

_COMMANDS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "#": r"\#",
    "$": r"\$",
    "%": r"\%",
    "&": r"\&",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    # At the start of a row they would be arguments of the line break before it.
    "*": "{*}",
    "[": "{[}",
    "]": "{]}",
    # Two in a row would become a dash.
    "-": "{-}",
    "\N{MULTIPLICATION SIGN}": r"\texttimes{}",
    "\N{MIDDLE DOT}": r"\textperiodcentered{}",
    "\N{HORIZONTAL ELLIPSIS}": r"\dots{}",
}
_LAST_LATIN = 0x17F
_LONG = 30
"""A column with a longer cell than that is set as paragraphs, and a longer word than that may be broken."""
_PIECE = 8
"""After how many characters of such a word."""


def latex(text: str) -> Markup:
    """Return text that LaTeX prints as it is; long words, such as checksums, may go on in the next line."""
    return Markup(" ".join(_word(word) for word in one_line(str(text)).split(" ")))


def _word(word: str) -> str:
    size = _PIECE if len(word) > _LONG else _LONG
    pieces = [word[start : start + size] for start in range(0, len(word), size)]
    return r"\allowbreak{}".join(map(_whole, pieces))


def _whole(word: str) -> str:
    return "".join(_COMMANDS.get(character, character) for character in word)


def listing(text: str) -> Markup:
    """Return lines of text in a fixed-width font, each on a line of its own, spaces kept."""
    lines = [latex_spaces(line) or r"\mbox{}" for line in text.rstrip().splitlines()]
    return Markup("\\\\\n".join(lines))


def latex_spaces(line: str) -> str:
    """Return a line that keeps its spaces."""
    return "~".join(_whole(one_line(part)) for part in line.split(" "))


def link(url: str) -> Markup:
    r"""Return an address for the first argument of `\href`."""
    return Markup(url.replace("%", r"\%").replace("#", r"\#").replace("&", r"\&").replace("_", r"\_"))


def columns(table: Table) -> Markup:
    """Return a table's column letters: figures flush right, long texts as paragraphs that share the width."""
    rows = [*table.rows, *filter(None, [table.total])]
    longest = [max((len(row[place]) for row in rows), default=0) for place in range(len(table.columns))]
    prose = [
        not column.right and length > _LONG for column, length in zip(table.columns, longest, strict=True)
    ]
    share = 0.62 / max(1, sum(prose))
    letters = [
        rf">{{\raggedright\arraybackslash}}p{{{share:.2f}\linewidth}}"
        if long
        else "r"
        if column.right
        else "l"
        for column, long in zip(table.columns, prose, strict=True)
    ]
    return Markup("".join(letters))


def exotic(text: str) -> list[tuple[str, str]]:
    """Return the characters that pdfLaTeX doesn't know: their number in hexadecimal, and what to print."""
    beyond: Iterable[str] = sorted({character for character in text if ord(character) > _LAST_LATIN})
    return [(f"{ord(character):04X}", f"[U+{ord(character):04X}]") for character in beyond]
