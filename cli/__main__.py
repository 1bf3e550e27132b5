"""`python -m cifar_report.cli` is `cifar-report`."""

from cifar_report.cli.main import main

if __name__ == "__main__":
    main(prog_name="cifar-report")
