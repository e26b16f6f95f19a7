"""Read the demo's JSON summary on stdin and hold it to what the README promises."""

import json
import sys

summary = json.loads(sys.stdin.read())
truth = summary["truth"]
promises = {
    "every row has an outcome": summary["done"] == summary["rows"] > 0,
    "the run is done": summary["exit_code"] == 0,
    "95 % of the copies are the first hit": truth["first_hits_found"]
    >= 0.95 * truth["first_hits_expected"]
    > 0,
    "every row ended as foretold": truth["outcomes_matched"] == truth["outcomes_expected"] > 0,
}
broken = [promise for promise, held in promises.items() if not held]
if broken:
    sys.exit("the demo broke its promises: " + "; ".join(broken))
