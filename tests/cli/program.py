"""The program, called as from a command line."""

from click.testing import CliRunner, Result

from cifar_report.cli.main import main


def call(*arguments: object) -> Result:
    """Return what came of a command and its arguments: words written, and the exit code a shell would see."""
    return CliRunner().invoke(main, [*map(str, arguments)])
