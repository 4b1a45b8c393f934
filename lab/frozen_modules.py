"""The last import in the process of `forked_idtone`. Its children share the objects imported so far, and their garbage
collection skips these objects.
"""

import gc

import phonenumbers.data.region_JP  # noqa: F401

gc.collect()
gc.freeze()
