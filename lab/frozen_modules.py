"""The last import of the process of `forked_idtone`: its children share the imported objects, and their garbage
collection skips these.
"""

import gc

import phonenumbers.data.region_JP  # noqa: F401

gc.collect()
gc.freeze()
