"""The GitHub action and the pre-commit hook, run as GitHub and pre-commit would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

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


def test_the_action_annotates_a_checkouts_file_and_writes_the_steps_summary(tmp_path, convolution):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "model.py").write_text(convolution)
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
