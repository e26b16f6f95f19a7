/* Records what one process does to the files of one folder, in the order in which it is done.
 *
 * Loaded with LD_PRELOAD; silent until disk_log_start(root, log) is called. Every call that changes a file or
 * a folder below `root`, or that makes a change durable, is made under one lock and written to `log` as one
 * record: struct record, then the two paths, then the data. What the process writes to descriptor 2 is
 * recorded as well: marks of what it has told the world. disk_model.py reads the log.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPENED = 1, WRITTEN, TRUNCATED, RENAMED, UNLINKED, MADE_FOLDER, REMOVED_FOLDER, SYNCED, MARK, EXCHANGED, LINKED };

struct record {
    uint32_t kind, first_path, second_path, reserved;
    uint64_t device, inode, offset, size;
};

#define MOST_DESCRIPTORS 65536
static char root[4096];
static size_t root_length;
static int log_descriptor = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char followed[MOST_DESCRIPTORS];

static void put(const void *data, size_t size) {
    const char *left = data;
    while (size) {
        long written = syscall(SYS_write, log_descriptor, left, size);
        if (written < 0) {
            if (errno == EINTR) continue;
            _exit(99);
        }
        left += written;
        size -= (size_t)written;
    }
}

static void record(enum kind kind, const char *first, const char *second, const struct stat *about, off_t offset,
                   const void *data, size_t size) {
    struct record head = {kind, first ? strlen(first) : 0, second ? strlen(second) : 0, 0,
                          about ? about->st_dev : 0, about ? about->st_ino : 0, (uint64_t)offset, size};
    int kept = errno;
    put(&head, sizeof head);
    if (first) put(first, head.first_path);
    if (second) put(second, head.second_path);
    if (data) put(data, size);
    errno = kept;
}

static void path_of(int descriptor, char *path, size_t size) {
    char link[64] = "/proc/self/fd/", digits[16];
    int count = 0, left = descriptor;
    do digits[count++] = (char)('0' + left % 10);
    while (left /= 10);
    size_t end = strlen(link);
    while (count) link[end++] = digits[--count];
    link[end] = 0;
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
}

/* The path from the root, where it was given from an open folder. */
static const char *full(int at, const char *path, char *space, size_t size) {
    if (path[0] == '/' || at == AT_FDCWD || log_descriptor < 0) return path;
    path_of(at, space, size);
    if (strlen(space) + strlen(path) + 2 > size) _exit(97);
    strcat(strcat(space, "/"), path);
    return space;
}

static int inside(const char *path) {
    return log_descriptor >= 0 && path && strncmp(path, root, root_length) == 0 &&
           (path[root_length] == '/' || path[root_length] == 0);
}

static int is_followed(int descriptor) {
    return log_descriptor >= 0 && descriptor >= 0 && descriptor < MOST_DESCRIPTORS && followed[descriptor];
}

void disk_log_start(const char *folder, const char *log) {
    strncpy(root, folder, sizeof root - 1);
    root_length = strlen(root);
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, log, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
    log_descriptor = (int)syscall(SYS_fcntl, descriptor, F_DUPFD_CLOEXEC, 1000);
    syscall(SYS_close, descriptor);
}

static int opened(const char *path, int flags, mode_t mode) {
    if (!inside(path)) return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat before;
    int was_there = fstatat(AT_FDCWD, path, &before, 0) == 0;
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (descriptor >= 0 && descriptor < MOST_DESCRIPTORS) {
        struct stat about;
        fstat(descriptor, &about);
        followed[descriptor] = 1;
        if (!was_there) record(OPENED, path, NULL, &about, 0, NULL, 0);
        if (was_there && (flags & O_TRUNC)) record(TRUNCATED, NULL, NULL, &about, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return descriptor;
}

#define MODE(flags)                        \
    mode_t mode = 0;                       \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest;                      \
        va_start(rest, flags);             \
        mode = va_arg(rest, mode_t);       \
        va_end(rest);                      \
    }

int open(const char *path, int flags, ...) { MODE(flags) return opened(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(path, flags, mode); }
int openat(int at, const char *path, int flags, ...) {
    MODE(flags)
    if (path[0] == '/') return opened(path, flags, mode);
    return (int)syscall(SYS_openat, at, path, flags, mode);
}
int openat64(int at, const char *path, int flags, ...) {
    MODE(flags)
    if (path[0] == '/') return opened(path, flags, mode);
    return (int)syscall(SYS_openat, at, path, flags, mode);
}

int close(int descriptor) {
    if (is_followed(descriptor)) followed[descriptor] = 0;
    return (int)syscall(SYS_close, descriptor);
}

static ssize_t wrote(int descriptor, const void *data, size_t size, off_t offset, int at_offset) {
    if (log_descriptor >= 0 && descriptor == 2) {
        pthread_mutex_lock(&lock);
        ssize_t written = syscall(SYS_write, descriptor, data, size);
        if (written > 0) record(MARK, NULL, NULL, NULL, 0, data, (size_t)written);
        pthread_mutex_unlock(&lock);
        return written;
    }
    if (!is_followed(descriptor))
        return at_offset ? syscall(SYS_pwrite64, descriptor, data, size, offset)
                         : syscall(SYS_write, descriptor, data, size);
    pthread_mutex_lock(&lock);
    ssize_t written = at_offset ? syscall(SYS_pwrite64, descriptor, data, size, offset)
                                : syscall(SYS_write, descriptor, data, size);
    if (written > 0) {
        struct stat about;
        fstat(descriptor, &about);
        if (!at_offset) offset = lseek(descriptor, 0, SEEK_CUR) - written;
        record(WRITTEN, NULL, NULL, &about, offset, data, (size_t)written);
    }
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t write(int descriptor, const void *data, size_t size) { return wrote(descriptor, data, size, 0, 0); }
ssize_t pwrite(int descriptor, const void *data, size_t size, off_t at) { return wrote(descriptor, data, size, at, 1); }
ssize_t pwrite64(int descriptor, const void *data, size_t size, off_t at) { return wrote(descriptor, data, size, at, 1); }
ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
    if (!is_followed(descriptor) && descriptor != 2) return syscall(SYS_writev, descriptor, pieces, count);
    ssize_t total = 0;
    for (int number = 0; number < count; number++) {
        ssize_t written = wrote(descriptor, pieces[number].iov_base, pieces[number].iov_len, 0, 0);
        if (written < 0) return total ? total : written;
        total += written;
        if ((size_t)written < pieces[number].iov_len) break;
    }
    return total;
}

static int truncated(int descriptor, off_t size) {
    if (!is_followed(descriptor)) return (int)syscall(SYS_ftruncate, descriptor, size);
    pthread_mutex_lock(&lock);
    int ended = (int)syscall(SYS_ftruncate, descriptor, size);
    if (ended == 0) {
        struct stat about;
        fstat(descriptor, &about);
        record(TRUNCATED, NULL, NULL, &about, size, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return ended;
}
int ftruncate(int descriptor, off_t size) { return truncated(descriptor, size); }
int ftruncate64(int descriptor, off_t size) { return truncated(descriptor, size); }

static int synced(int descriptor, long call) {
    if (!is_followed(descriptor)) return (int)syscall(call, descriptor);
    pthread_mutex_lock(&lock);
    int ended = (int)syscall(call, descriptor);
    if (ended == 0) {
        struct stat about;
        fstat(descriptor, &about);
        char path[4096];
        path_of(descriptor, path, sizeof path);
        record(SYNCED, S_ISDIR(about.st_mode) ? path : NULL, NULL, &about, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return ended;
}
int fsync(int descriptor) { return synced(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return synced(descriptor, SYS_fdatasync); }

#define PATH_CALL(kind, path, other, call)                       \
    if (!inside(path)) return (int)(call);                       \
    pthread_mutex_lock(&lock);                                   \
    int ended = (int)(call);                                     \
    if (ended == 0) record(kind, path, other, NULL, 0, NULL, 0); \
    pthread_mutex_unlock(&lock);                                 \
    return ended;

#define EXCHANGE 2 /* RENAME_EXCHANGE */

int renameat2(int at, const char *from, int to_at, const char *to, unsigned flags) {
    char space[4096], other[4096];
    const char *path = full(at, from, space, sizeof space), *target = full(to_at, to, other, sizeof other);
    if (inside(path) && flags & ~EXCHANGE) _exit(98);
    PATH_CALL(flags & EXCHANGE ? EXCHANGED : RENAMED, path, target, syscall(SYS_renameat2, at, from, to_at, to, flags))
}
int renameat(int at, const char *from, int to_at, const char *to) { return renameat2(at, from, to_at, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int at, const char *from, int to_at, const char *to, int flags) {
    char space[4096], other[4096];
    const char *path = full(at, from, space, sizeof space), *target = full(to_at, to, other, sizeof other);
    PATH_CALL(LINKED, path, target, syscall(SYS_linkat, at, from, to_at, to, flags))
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
int unlinkat(int at, const char *name, int flags) {
    char space[4096];
    const char *path = full(at, name, space, sizeof space);
    PATH_CALL(flags & AT_REMOVEDIR ? REMOVED_FOLDER : UNLINKED, path, NULL, syscall(SYS_unlinkat, at, name, flags))
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int mkdirat(int at, const char *name, mode_t mode) {
    char space[4096];
    const char *path = full(at, name, space, sizeof space);
    PATH_CALL(MADE_FOLDER, path, NULL, syscall(SYS_mkdirat, at, name, mode))
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* Ways to change a file that the model does not know: the process ends, so that no change goes unseen. */
#define REFUSED(signature, descriptor, call) \
    signature {                              \
        if (is_followed(descriptor)) _exit(98); \
        return call;                         \
    }
REFUSED(ssize_t pwritev(int descriptor, const struct iovec *pieces, int count, off_t at), descriptor,
        syscall(SYS_pwritev, descriptor, pieces, count, at, 0))
REFUSED(ssize_t sendfile64(int out, int in, off_t *at, size_t size), out, syscall(SYS_sendfile, out, in, at, size))
REFUSED(ssize_t copy_file_range(int in, off_t *in_at, int out, off_t *out_at, size_t size, unsigned flags), out,
        syscall(SYS_copy_file_range, in, in_at, out, out_at, size, flags))
REFUSED(int fallocate64(int descriptor, int mode, off_t at, off_t size), descriptor,
        (int)syscall(SYS_fallocate, descriptor, mode, at, size))
REFUSED(int posix_fallocate64(int descriptor, off_t at, off_t size), descriptor,
        syscall(SYS_fallocate, descriptor, 0, at, size) ? errno : 0)
