/* LD_PRELOAD for the tests: what a disk may do when it is asked to sync a file in the folder $EVCORE_DATA.
 *
 * With $EVCORE_SHADOW, that folder gets a copy of each file as of its last sync: what is certain to survive a power cut.
 * evcore_fail_sync(n): the n-th sync from now on fails once with EIO; 0: none. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int countdown;
int evcore_syncs;

void evcore_fail_sync(int n) { countdown = n; }

static int is_ours(int fd, char *path, size_t room) {
    char link[64];
    const char *folder = getenv("EVCORE_DATA");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, room - 1);
    if (folder == NULL || length < 0) {
        return 0;
    }
    path[length] = '\0';
    return strncmp(path, folder, strlen(folder)) == 0 && path[strlen(folder)] == '/';
}

static void copy(int fd, const char *path) {
    static char block[1 << 16];
    char made[4096], name[4096];
    const char *folder = getenv("EVCORE_SHADOW");
    if (folder == NULL) {
        return;
    }
    snprintf(made, sizeof made, "%s/.copy", folder);
    snprintf(name, sizeof name, "%s%s", folder, strrchr(path, '/'));
    int out = open(made, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t count;
    for (off_t at = 0; (count = pread(fd, block, sizeof block, at)) > 0; at += count) {
        if (write(out, block, (size_t)count) != count) {
            abort();
        }
    }
    close(out);
    rename(made, name);
}

static int sync_file(int fd, const char *function) {
    char path[4096];
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, function);
    if (!is_ours(fd, path, sizeof path)) {
        return real(fd);
    }
    evcore_syncs++;
    if (countdown > 0 && --countdown == 0) {
        errno = EIO;
        return -1;
    }
    int result = real(fd);
    if (result == 0) {
        copy(fd, path);
    }
    return result;
}

int fsync(int fd) { return sync_file(fd, "fsync"); }
int fdatasync(int fd) { return sync_file(fd, "fdatasync"); }
