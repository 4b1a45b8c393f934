import os

from idtone.core.terminal.command_line import THREADS_OF_NUMPY

# Before numpy is imported. The tests share the cores: the threads of its linear algebra would spin while they wait for
# each other, and a test of the verifier would take half as much processor time again.
os.environ |= dict.fromkeys(THREADS_OF_NUMPY, "1")
