"""The tests of idtone."""

import os

# Before numpy is imported. The tests share the cores: the threads of its linear algebra would spin while they wait for
# each other, and a test of the verifier would take half as much processor time again.
os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
