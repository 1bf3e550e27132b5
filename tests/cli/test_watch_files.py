"""Which files a check read, and whether they have changed."""

from __future__ import annotations

import ast
import os
import py_compile
import subprocess
import sys

from cifar_report.cli.watch_files import changed, shown, state


def test_files_differ_by_content_time_or_place_and_folders_by_the_python_files_in_them(tmp_path):
    path, other = tmp_path / "a.py", tmp_path / "b.py"
    path.write_text("1")
    os.utime(path, ns=(10**18, 10**18))
    states = {name: state(name) for name in (str(path), str(other), str(tmp_path))}
    assert changed(states) == []
    (tmp_path / ".a.py.swp").write_text("")
    assert changed(states) == []
    (tmp_path / "beside").write_text("2")
    (tmp_path / "beside").replace(path)
    os.utime(path, ns=(10**18, 10**18))
    assert changed(states) == [str(path)]
    other.write_text("")
    assert changed(states) == [str(path), str(other), str(tmp_path)]


def test_names_of_files_are_short_and_few(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [str(tmp_path / name) for name in "gfedcba"]
    assert shown(names, most=2) == "a, b and 5 more"
    assert shown([str(tmp_path), "/else/a.py"]) == "/else/a.py"
    assert shown([str(tmp_path)]) == "."


READER = """
import os, sys
from cifar_report.cli.watch_files import tell_of_reads
told = []
tell_of_reads(lambda seen: told.append((os.path.relpath(seen.path), seen.state is None)))
sys.path.insert(0, os.getcwd())
import cached, plain, email.mime.audio
open("read.txt").read(); open("read.txt").read()
open("both.txt", "a").write(""); open("both.txt").read()
open("later.txt").read(); open("later.txt", "a").write("")
try: open("missing.txt")
except OSError: pass
os.close(os.open(b"bytes.txt", os.O_RDONLY)); open("/dev/null").close()
print(told)
"""


def test_what_is_opened_to_be_read_is_known_by_its_source_once(tmp_path):
    for name in ("cached.py", "plain.py", "read.txt", "both.txt", "later.txt", "bytes.txt"):
        (tmp_path / name).write_text("")
    py_compile.compile(str(tmp_path / "cached.py"))
    done = subprocess.run(
        [sys.executable, "-B", "-c", READER], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ast.literal_eval(done.stdout) == [
        ("cached.py", False), ("plain.py", False), ("read.txt", False), ("both.txt", True),
        ("later.txt", False), ("later.txt", True), ("bytes.txt", False),
    ]  # fmt: skip
