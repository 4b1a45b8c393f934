"""Entry point of the experiment.

Each process computes on one thread only, so that the times can be compared.
"""

import os
import sys

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

from .experiment import main  # the libraries read the environment when they are loaded

if __name__ == "__main__":
    sys.exit(main())
