"""A month's statement in pandas: the minutes of each customer, and all lines as a file for other programs.

Run it where `zk statement` works: python examples/month_in_pandas.py 2025-10 statement.csv
"""

import sys
from pathlib import Path

from zk_pipeline import api


def main(month: str, output: Path) -> None:
    """Print the minutes by customer, and write the lines as CSV; its numbers are exact."""
    lines = api.statement(month)
    print(f"{month}: {lines.attrs['verdict']}")
    print(lines.groupby("customer")[["zammad", "kimai", "waiting"]].sum().to_string())
    lines.to_csv(output, index=False)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
