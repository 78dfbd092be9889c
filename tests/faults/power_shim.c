/* Writes down every change that a process makes to files below one folder, and kills it at the nth: LD_PRELOAD.
 *
 * POWER_FOLDER: the folder, an absolute path without links. POWER_LOG: where to write. POWER_KILL_AT: SIGKILL instead of
 * change number n, counted from 1; 0 or unset: never. power_log.py reads the log. A call that changes files in a way that
 * is not followed here (sendfile, a shared writable mapping, ...) is written down too, and power_log.py refuses the log;
 * one that is not even seen makes power.py's comparison of its disk with the real folder fail.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, MKDIR, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, UNFOLLOWED };

struct entry { /* then both paths and the data; all fields little-endian as the machine has them */
    uint32_t what, path_bytes, other_bytes, data_bytes;
    uint64_t inode, offset;
};

#define LOG_DESCRIPTOR 900 /* far from the numbers that a program hands out and closes */

static char folder[PATH_MAX];
static size_t folder_bytes;
static int log_file = -1;
static long count, kill_at;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *wanted = getenv("POWER_FOLDER"), *log = getenv("POWER_LOG"), *at = getenv("POWER_KILL_AT");
    if (!wanted || !log) return;
    folder_bytes = (size_t)snprintf(folder, sizeof folder, "%s", wanted);
    int file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_file = fcntl(file, F_DUPFD_CLOEXEC, LOG_DESCRIPTOR);
    syscall(SYS_close, file);
    kill_at = at ? atol(at) : 0;
}

static int below(const char *path) {
    size_t bytes = strlen(path);
    /* SQLite's -shm is an index that is made anew at a start. */
    if (bytes > 4 && strcmp(path + bytes - 4, "-shm") == 0) return 0;
    return log_file >= 0 && strncmp(path, folder, folder_bytes) == 0 &&
           (path[folder_bytes] == '/' || path[folder_bytes] == 0);
}

/* The path behind a descriptor -> whether it lies below the folder. */
static int watched(int file, char *path) {
    char link[64];
    if (log_file < 0 || file < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t bytes = readlink(link, path, PATH_MAX - 1);
    if (bytes < 0) return 0;
    path[bytes] = 0;
    return below(path);
}

/* A path as a call has it -> absolute, its folder without links. The last part may be missing or a link. */
static int resolve(int at, const char *path, char *out) {
    char whole[2 * PATH_MAX], parent[PATH_MAX];
    if (log_file < 0 || !path) return 0;
    if (path[0] == '/') {
        snprintf(whole, sizeof whole, "%s", path);
    } else {
        char base[PATH_MAX], link[64];
        if (at == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t bytes = readlink(link, base, sizeof base - 1);
        if (bytes < 0) return 0;
        base[bytes] = 0;
        snprintf(whole, sizeof whole, "%s/%s", base, path);
    }
    char *last = strrchr(whole, '/');
    *last = 0;
    if (!realpath(last == whole ? "/" : whole, parent)) return 0;
    snprintf(out, PATH_MAX, "%.2000s/%.2000s", strcmp(parent, "/") ? parent : "", last + 1);
    return below(out);
}

static uint64_t inode_at(const char *path) {
    struct stat found;
    return fstatat(AT_FDCWD, path, &found, AT_SYMLINK_NOFOLLOW) == 0 ? found.st_ino : 0;
}

static uint64_t inode_of(int file) {
    struct stat found;
    return fstat(file, &found) == 0 ? found.st_ino : 0;
}

/* Before a change: one thread at a time, and the end of the process where it is due. */
static void enter(void) {
    pthread_mutex_lock(&one_at_a_time);
    if (++count == kill_at) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
}

/* After it: written down where it went well. */
static void leave(int well, uint32_t what, const char *path, const char *other, uint64_t inode, uint64_t offset,
                  const void *data, size_t bytes) {
    int before = errno;
    if (well) {
        struct entry entry = {what, (uint32_t)strlen(path), (uint32_t)strlen(other), (uint32_t)bytes, inode, offset};
        struct iovec parts[] = {{&entry, sizeof entry},
                                {(void *)path, entry.path_bytes},
                                {(void *)other, entry.other_bytes},
                                {(void *)data, bytes}};
        size_t all = sizeof entry + entry.path_bytes + entry.other_bytes + bytes;
        if (syscall(SYS_writev, log_file, parts, 4) != (long)all) abort();
    } else {
        count--;
    }
    pthread_mutex_unlock(&one_at_a_time);
    errno = before;
}

#define REAL(type, name, ...)                             \
    static type (*real)(__VA_ARGS__);                     \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static int open_real(int at, const char *path, int flags, mode_t mode) {
    /* Every open of glibc's is this call. */
    return (int)syscall(SYS_openat, at, path, flags, mode);
}

static int open_at(int at, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    int changes = (flags & (O_CREAT | O_TRUNC)) && (flags & O_TMPFILE) != O_TMPFILE;
    if (!changes || !resolve(at, path, whole)) return open_real(at, path, flags, mode);
    uint64_t there = inode_at(whole);
    if (there && !(flags & O_TRUNC)) return open_real(at, path, flags, mode);
    enter();
    int file = open_real(at, path, flags, mode);
    leave(file >= 0, there ? TRUNCATE : CREATE, whole, "", file >= 0 ? inode_of(file) : 0, 0, "", 0);
    return file;
}

#define MODE(flags, mode)                                           \
    mode_t mode = 0;                                                \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                        \
        va_list rest;                                               \
        va_start(rest, flags);                                      \
        mode = (mode_t)va_arg(rest, int);                           \
        va_end(rest);                                               \
    }

int open(const char *path, int flags, ...) { MODE(flags, mode) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, mode) return open_at(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags, mode) return open_at(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags, mode) return open_at(at, path, flags, mode); }
int __open_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __openat_2(int at, const char *path, int flags) { return open_at(at, path, flags, 0); }
int __openat64_2(int at, const char *path, int flags) { return open_at(at, path, flags, 0); }

static uint64_t place(int file) {
    struct stat found;
    if ((fcntl(file, F_GETFL) & O_APPEND) && fstat(file, &found) == 0) return (uint64_t)found.st_size;
    return (uint64_t)lseek(file, 0, SEEK_CUR);
}

ssize_t write(int file, const void *data, size_t bytes) {
    char path[PATH_MAX];
    REAL(ssize_t, write, int, const void *, size_t);
    if (!watched(file, path)) return real(file, data, bytes);
    enter();
    uint64_t offset = place(file);
    ssize_t done = real(file, data, bytes);
    leave(done >= 0, WRITE, path, "", inode_of(file), offset, data, done > 0 ? (size_t)done : 0);
    return done;
}

ssize_t pwrite64(int file, const void *data, size_t bytes, off64_t offset) {
    char path[PATH_MAX];
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    if (!watched(file, path)) return real(file, data, bytes, offset);
    enter();
    ssize_t done = real(file, data, bytes, offset);
    leave(done >= 0, WRITE, path, "", inode_of(file), (uint64_t)offset, data, done > 0 ? (size_t)done : 0);
    return done;
}

ssize_t pwrite(int file, const void *data, size_t bytes, off_t offset) { return pwrite64(file, data, bytes, offset); }

int ftruncate64(int file, off64_t size) {
    char path[PATH_MAX];
    REAL(int, ftruncate64, int, off64_t);
    if (!watched(file, path)) return real(file, size);
    enter();
    int code = real(file, size);
    leave(code == 0, TRUNCATE, path, "", inode_of(file), (uint64_t)size, "", 0);
    return code;
}

int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

int fsync(int file) {
    char path[PATH_MAX];
    REAL(int, fsync, int);
    if (!watched(file, path)) return real(file);
    /* What the disk holds is played afterwards, so the machine's own disk need not be waited for. */
    enter();
    leave(1, SYNC, path, "", inode_of(file), 0, "", 0);
    return 0;
}

int fdatasync(int file) { return fsync(file); }

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char source[PATH_MAX], target[PATH_MAX];
    int out = resolve(from_at, from, source), in = resolve(to_at, to, target);
    if (!in && !out) return (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    enter();
    int code = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    leave(code == 0, in && out && !flags ? RENAME : UNFOLLOWED, source, target, 0, 0, "", 0);
    return code;
}

int renameat(int from_at, const char *from, int to_at, const char *to) {
    return renameat2(from_at, from, to_at, to, 0);
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int at, const char *path, int flags) {
    char whole[PATH_MAX];
    if (!resolve(at, path, whole)) return (int)syscall(SYS_unlinkat, at, path, flags);
    enter();
    int code = (int)syscall(SYS_unlinkat, at, path, flags);
    leave(code == 0, UNLINK, whole, "", 0, 0, "", 0);
    return code;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int at, const char *path, mode_t mode) {
    char whole[PATH_MAX];
    if (!resolve(at, path, whole)) return (int)syscall(SYS_mkdirat, at, path, mode);
    enter();
    int code = (int)syscall(SYS_mkdirat, at, path, mode);
    leave(code == 0, MKDIR, whole, "", code == 0 ? inode_at(whole) : 0, 0, "", 0);
    return code;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* Calls that nothing here uses, or that cannot be followed: the log says so, and its reader refuses it. */
static void unfollowed(int file, const char *call) {
    char path[PATH_MAX];
    if (!watched(file, path)) return;
    enter();
    leave(1, UNFOLLOWED, path, call, 0, 0, "", 0);
}

#define UNFOLLOWED_CALL(type, name, file, parameters, arguments) \
    type name parameters {                                       \
        static type(*real) parameters;                           \
        if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        unfollowed(file, #name);                                 \
        return real arguments;                                   \
    }

UNFOLLOWED_CALL(ssize_t, writev, file, (int file, const struct iovec *parts, int number), (file, parts, number))
UNFOLLOWED_CALL(ssize_t, pwritev, file, (int file, const struct iovec *parts, int number, off_t offset),
                (file, parts, number, offset))
UNFOLLOWED_CALL(ssize_t, pwritev64, file, (int file, const struct iovec *parts, int number, off64_t offset),
                (file, parts, number, offset))
UNFOLLOWED_CALL(ssize_t, sendfile, out, (int out, int in, off_t *offset, size_t bytes), (out, in, offset, bytes))
UNFOLLOWED_CALL(ssize_t, sendfile64, out, (int out, int in, off64_t *offset, size_t bytes), (out, in, offset, bytes))
UNFOLLOWED_CALL(ssize_t, copy_file_range, out,
                (int in, off64_t *in_at, int out, off64_t *out_at, size_t bytes, unsigned flags),
                (in, in_at, out, out_at, bytes, flags))
UNFOLLOWED_CALL(int, posix_fallocate, file, (int file, off_t offset, off_t bytes), (file, offset, bytes))
UNFOLLOWED_CALL(int, posix_fallocate64, file, (int file, off64_t offset, off64_t bytes), (file, offset, bytes))

void *mmap64(void *address, size_t bytes, int rights, int flags, int file, off64_t offset) {
    if (file >= 0 && (flags & MAP_SHARED) && (rights & PROT_WRITE)) unfollowed(file, "mmap");
    return (void *)syscall(SYS_mmap, address, bytes, rights, flags, file, offset);
}

void *mmap(void *address, size_t bytes, int rights, int flags, int file, off_t offset) {
    return mmap64(address, bytes, rights, flags, file, offset);
}
