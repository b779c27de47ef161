"""Writes what the program says of itself: the bill and the picture of the estate."""

import argparse
import sys

from localaws.apply import ROOT
from review import bill, picture


def main() -> None:
    """Write docs/bill.md and docs/estate.svg."""
    argparse.ArgumentParser(prog="python -m review", description=main.__doc__).parse_args()
    for path in (bill.write(), picture.write()):
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
