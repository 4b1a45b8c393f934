"""The last import of the process of `forked_idtone`: its children share the imported objects, which their garbage collection
skips.
"""

import gc

import phonenumbers.data.region_JP  # noqa: F401

gc.collect()
gc.freeze()
