"""Checks parity results against the list of groups that have to pass: python parity.py LIST RESULTS."""

import json
import sys
from pathlib import Path

listed = [s.strip() for s in Path(sys.argv[1]).read_text().splitlines() if s.strip() and not s.startswith("#")]
groups: dict[str, list[str]] = {}
for case in json.loads(Path(sys.argv[2]).read_text())["cases"]:
    groups.setdefault(case["group"], []).append(case["status"])
wrong = [f"{name}: not in the corpus" for name in listed if name not in groups]
for name in listed:
    failed = sum(status != "pass" for status in groups.get(name, ()))
    if failed:
        wrong.append(f"{name}: {failed} of {len(groups[name])} cases fail")
print("\n".join(wrong) or f"{len(listed)} groups pass")
sys.exit(bool(wrong))
