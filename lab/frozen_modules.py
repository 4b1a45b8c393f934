"""Imported last by the process of `forked_idtone`: its children share what it has, and do not scan it for garbage."""

import gc

import phonenumbers.data.region_JP  # noqa: F401

gc.collect()
gc.freeze()
