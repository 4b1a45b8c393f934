"""A slow disk, simulated by a library that Asterisk preloads: opening the journal takes longer.

Needs a C compiler.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

DELAY: Final = "LAB_DISK_MS"
_SOURCE: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void wait_for_the_disk(const char *path)
{
    const char *delay = getenv("LAB_DISK_MS");
    const char *end = strrchr(path, '/');
    if (delay && end && end - path >= 8 && !strncmp(end - 8, "/journal/calls", 14)) {
        long ms = atol(delay);
        struct timespec left = {ms / 1000, ms % 1000 * 1000000};
        while (nanosleep(&left, &left)) { }
    }
}

#define SLOW(name) \
    FILE *name(const char *path, const char *mode) \
    { \
        FILE *(*opens)(const char *, const char *) = dlsym(RTLD_NEXT, #name); \
        wait_for_the_disk(path); \
        return opens(path, mode); \
    }
SLOW(fopen)
SLOW(fopen64)
"""


def slow_disk_library(cache: Path) -> Path | None:
    """Path of the library, which is compiled once into the folder `cache`, or None without a compiler."""
    path = cache / f"slow-disk-{hashlib.sha256(_SOURCE.encode()).hexdigest()[:8]}.so"
    compiler = shutil.which("cc")
    if path.exists() or not compiler:
        return path if path.exists() else None
    making = path.with_suffix(f".{os.getpid()}")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", making, "-ldl"],
        input=_SOURCE,
        text=True,
        check=True,
        capture_output=True,
    )
    making.rename(path)
    return path
