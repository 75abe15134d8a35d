"""A library to preload: file operations below one folder take longer, and the clock of the day jumps."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#include <stdio.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void wait_ms(void) {
    const char *text = getenv("SHIM_MS");
    long ms = text ? atol(text) : 0;
    struct timespec t = {ms / 1000, (ms % 1000) * 1000000L};
    if (ms) nanosleep(&t, NULL);
}
static void slow_path(const char *path) {
    const char *below = getenv("SHIM_BELOW");
    if (below && path && strncmp(path, below, strlen(below)) == 0) wait_ms();
}
static void slow_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (fd < 3 || !getenv("SHIM_BELOW")) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n > 0) { path[n] = 0; slow_path(path); }
}
#define OPEN(name)                                                              \
    int name(const char *path, int flags, ...) {                               \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest); \
        slow_path(path);                                                        \
        return REAL(name)(path, flags, mode);                                   \
    }
OPEN(open)
OPEN(open64)
int openat(int dir, const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest);
    slow_path(path);
    return REAL(openat)(dir, path, flags, mode);
}
FILE *fopen(const char *path, const char *mode) { slow_path(path); return REAL(fopen)(path, mode); }
FILE *fopen64(const char *path, const char *mode) { slow_path(path); return REAL(fopen64)(path, mode); }
ssize_t write(int fd, const void *data, size_t n) { slow_fd(fd); return REAL(write)(fd, data, n); }
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { slow_fd(fd); return REAL(pwrite)(fd, data, n, at); }
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
    slow_fd(fd);
    return REAL(pwrite64)(fd, data, n, at);
}
int fsync(int fd) { slow_fd(fd); return REAL(fsync)(fd); }
int rename(const char *from, const char *to) { slow_path(to); return REAL(rename)(from, to); }
int unlink(const char *path) { slow_path(path); return REAL(unlink)(path); }
int mkdir(const char *path, mode_t mode) { slow_path(path); return REAL(mkdir)(path, mode); }

static long shift(void) { /* hours forth and back, another way at every call */
    static unsigned calls = 0;
    static const long hours[] = {0, 7, -3, 26, -49, 1, -1, 12};
    return getenv("SHIM_CLOCK") ? 3600 * hours[__sync_fetch_and_add(&calls, 1) % 8] : 0;
}
int clock_gettime(clockid_t which, struct timespec *t) {
    int code = REAL(clock_gettime)(which, t);
    if (!code && which == CLOCK_REALTIME) t->tv_sec += shift();
    return code;
}
time_t time(time_t *out) {
    time_t now = REAL(time)(NULL) + shift();
    if (out) *out = now;
    return now;
}
int gettimeofday(struct timeval *t, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec; t->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


def build(folder: Path) -> Path | None:
    """Compile the library into a folder; None where there is no gcc."""
    if shutil.which("gcc") is None:
        return None
    source, library = folder / "shim.c", folder / "shim.so"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-w", "-o", library, source, "-ldl"], check=True)
    return library


def slow(library: Path, below: Path, milliseconds: int) -> dict[str, str]:
    """Return the environment in which opening, writing, renaming and removing below a folder takes longer."""
    return {**os.environ, "LD_PRELOAD": str(library), "SHIM_BELOW": str(below), "SHIM_MS": str(milliseconds)}


def jumping_clock(library: Path) -> dict[str, str]:
    """Return the environment in which the time of the day is another one, by hours, whenever it is asked for."""
    return {**os.environ, "LD_PRELOAD": str(library), "SHIM_CLOCK": "1"}
