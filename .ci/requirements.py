"""Print what a development tree needs, from pyproject.toml: dependencies and the dev extra, without evcore itself."""

import re
import sys
import tomllib
from pathlib import Path


def requirements(project: dict, extra: str) -> list[str]:
    found = []
    for line in project["optional-dependencies"][extra]:
        own = re.fullmatch(r"evcore\[(.*)\]", line)
        for name in own[1].split(",") if own else ():
            found += requirements(project, name)
        if own is None:
            found.append(line)
    return found


if __name__ == "__main__":
    table = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
    print("\n".join(table["dependencies"] + requirements(table, "dev")))
