"""One PBX with the hook and the service of a checkout, which runs loads on request.

Run it as `PYTHON checkout_bench.py`. It prints `ready`, reads a line `WAY RATE SECONDS` for each load, and prints a
line of JSON with the results. `compare_versions` starts this file by its path in two checkouts, and each uses its own
`bench.cost`.
"""

import json
import os
import signal
import sys
import tempfile
from pathlib import Path


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # it stops what it has started
    sys.path[0] = os.getcwd()  # that checkout's modules, not the ones beside this file
    from bench.cost.cost_bench import cost_bench
    from bench.cost.forwarding_ways import Way

    with tempfile.TemporaryDirectory(prefix="idtone-cost-") as folder, cost_bench(Path(folder)) as bed:
        print("ready", flush=True)
        for line in sys.stdin:
            way, rate, seconds = line.split()
            run = bed.run(Way(way), float(rate), float(seconds))
            found = {
                "connected_ms": [sample.connected_ms for sample in run.samples],
                "post_dial_ms": [sample.post_dial_ms for sample in run.samples],
                "asterisk_ms": run.asterisk_ms_per_call, "service_ms": run.service_ms_per_call,
                "offered": run.offered, "failed": run.failed, "unrecorded": run.unrecorded,
            }  # fmt: skip
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
