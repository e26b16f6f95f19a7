"""Print the command of the README that stands under `<!-- command: NAME -->`."""

import re
import sys
from pathlib import Path

text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
found = re.search(rf"<!-- command: {re.escape(sys.argv[1])} -->\s*```\w*\n(.*?)```", text, re.DOTALL)
if found is None:
    sys.exit(f"README.md has no command named {sys.argv[1]}")
sys.stdout.write(found.group(1))
