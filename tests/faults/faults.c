/* Preloaded into Python: counts the calls of the file system below a path, and has one of them fail.

   Every call that the program makes through the C library is counted, in whatever thread, when what
   it names or the descriptor that it uses is below the path. The n-th call fails with a given error,
   reads or writes half of what was asked for, or is where the process is killed. To look where a file
   ends is not counted: on a file that is open that cannot fail.

   A test that has Python in its hands arms the library by `faults_arm`. A process of its own is armed
   by its environment, which its children do not inherit:

       FAULTS_BELOW    the path, absolute and without links
       FAULTS_REPORT   a file that gets a line for each call: number, name, path
       FAULTS_AT       the number of the call, counted from 1; 0 counts only
       FAULTS_KIND     fail, short, kill-before or kill-after
       FAULTS_ERROR    the number of the error
       FAULTS_LASTING  the classes of calls (see below) that fail from then on
*/

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { COUNT, FAIL, SHORT, KILL_BEFORE, KILL_AFTER };
enum class { LOOKS = 1, OPENS = 2, SPACE = 4, REMOVES = 8, SYNCS = 16, OTHER = 32 };
static const char *const kinds[] = {"count", "fail", "short", "kill-before", "kill-after"};

static struct {
    char below[PATH_MAX];
    long at;
    enum kind kind;
    int error, lasting, report;
    pid_t process; /* 0 while nothing is armed; a child that was forked is another process */
    atomic_long calls;
} plan;

/* What a call does: its own work, nothing, half of it, or its last work ever. */
enum act { PASS, REFUSE, HALVE, DIE };

static void end(void) { syscall(SYS_kill, syscall(SYS_getpid), SIGKILL); }

static void note(long number, const char *name, const char *path)
{
    char line[PATH_MAX + 64];
    if (plan.report < 0) return;
    int length = snprintf(line, sizeof line, "%ld\t%s\t%s\n", number, name, path);
    if (length >= (int)sizeof line) length = sizeof line - 1;
    if (syscall(SYS_write, plan.report, line, length) != length) end();
}

static int is_below(const char *path)
{
    size_t length = strlen(plan.below);
    return !strncmp(path, plan.below, length) && strchr("/ ", path[length]) != NULL;
}

/* Find the full path of what a call names; a null path is the descriptor itself. */
static int locate(int descriptor, const char *path, char *found)
{
    char link[64];
    ssize_t length = 0;
    if (path == NULL || path[0] != '/') {
        snprintf(link, sizeof link, descriptor == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d",
                 descriptor);
        length = syscall(SYS_readlinkat, AT_FDCWD, link, found, PATH_MAX - 1);
        if (length < 0) return 0;
    }
    if (path != NULL) {
        if (length && length < PATH_MAX - 1) found[length++] = '/';
        snprintf(found + length, PATH_MAX - length, "%s", path);
    } else {
        found[length] = 0;
    }
    return is_below(found);
}

static enum act meet(const char *name, enum class class, int descriptor, const char *path)
{
    char found[PATH_MAX];
    int before = errno;
    if (!plan.process || syscall(SYS_getpid) != plan.process) return PASS;
    if (!locate(descriptor, path, found)) {
        errno = before;
        return PASS;
    }
    errno = before;
    long number = atomic_fetch_add(&plan.calls, 1) + 1;
    if (plan.kind == COUNT || number == plan.at) note(number, name, found);
    if (plan.kind == COUNT || number < plan.at) return PASS;
    if (number > plan.at && !(plan.lasting & class)) return PASS;
    switch (plan.kind) {
    case FAIL:
        errno = plan.error;
        return REFUSE;
    case SHORT:
        return HALVE;
    case KILL_BEFORE:
        end();
        return DIE;
    default:
        return DIE;
    }
}

static long leave(enum act act, long result)
{
    if (act == DIE) end();
    return result;
}

/* Begin to count. A kind of 0 counts only; a negative report reports nothing. */
void faults_arm(const char *below, long at, int kind, int error, int lasting, int report)
{
    snprintf(plan.below, sizeof plan.below, "%s", below);
    plan.at = at;
    plan.kind = kind;
    plan.error = error;
    plan.lasting = lasting;
    plan.report = report;
    atomic_store(&plan.calls, 0);
    plan.process = syscall(SYS_getpid);
}

/* Stop to count; return how many calls there were. */
long faults_disarm(void)
{
    plan.process = 0;
    return atomic_load(&plan.calls);
}

static const char *take(const char *name)
{
    const char *value = getenv(name);
    return value == NULL ? "" : value;
}

__attribute__((constructor)) static void arm_by_environment(void)
{
    static const char *const names[] = {"FAULTS_BELOW", "FAULTS_REPORT", "FAULTS_AT", "FAULTS_KIND",
                                        "FAULTS_ERROR", "FAULTS_LASTING"};
    char below[PATH_MAX];
    int kind = COUNT, report = -1;
    snprintf(below, sizeof below, "%s", take("FAULTS_BELOW"));
    if (!below[0]) return;
    for (int each = COUNT; each <= KILL_AFTER; each++)
        if (!strcmp(take("FAULTS_KIND"), kinds[each])) kind = each;
    if (take("FAULTS_REPORT")[0])
        report = syscall(SYS_openat, AT_FDCWD, take("FAULTS_REPORT"),
                         O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int error = atoi(take("FAULTS_ERROR")), lasting = atoi(take("FAULTS_LASTING"));
    long at = atol(take("FAULTS_AT"));
    for (size_t each = 0; each < sizeof names / sizeof *names; each++) unsetenv(names[each]);
    faults_arm(below, at, at ? kind : COUNT, error, lasting, report);
}

/* A call that is refused returns -1 and does nothing. */
#define CALL(result, name, class, descriptor, path, parameters, ...)                               \
    result name parameters                                                                         \
    {                                                                                              \
        static result(*next) parameters;                                                           \
        if (next == NULL) next = (result(*) parameters)dlsym(RTLD_NEXT, #name);                    \
        enum act act = meet(#name, class, descriptor, path);                                       \
        if (act == REFUSE) return (result)-1;                                                      \
        return (result)leave(act, next(__VA_ARGS__));                                              \
    }

/* One that moves bytes moves half of them where it is to be short. */
#define BYTES(result, name, class, descriptor, size, parameters, ...)                              \
    result name parameters                                                                         \
    {                                                                                              \
        static result(*next) parameters;                                                           \
        if (next == NULL) next = (result(*) parameters)dlsym(RTLD_NEXT, #name);                    \
        enum act act = meet(#name, class, descriptor, NULL);                                       \
        if (act == REFUSE) return -1;                                                              \
        if (act == HALVE && size > 1) size /= 2;                                                   \
        return leave(act, next(__VA_ARGS__));                                                      \
    }

#define FD int fd
#define AT int at, const char *path
#define FROM_TO const char *from, const char *to
#define ATS int at, const char *from, int to_at, const char *to

CALL(int, stat, LOOKS, AT_FDCWD, path, (const char *path, struct stat *status), path, status)
CALL(int, stat64, LOOKS, AT_FDCWD, path, (const char *path, struct stat64 *status), path, status)
CALL(int, lstat, LOOKS, AT_FDCWD, path, (const char *path, struct stat *status), path, status)
CALL(int, lstat64, LOOKS, AT_FDCWD, path, (const char *path, struct stat64 *status), path, status)
CALL(int, fstat, LOOKS, fd, NULL, (FD, struct stat *status), fd, status)
CALL(int, fstat64, LOOKS, fd, NULL, (FD, struct stat64 *status), fd, status)
CALL(int, fstatat, LOOKS, at, path, (AT, struct stat *status, int flags), at, path, status, flags)
CALL(int, fstatat64, LOOKS, at, path, (AT, struct stat64 *status, int flags), at, path, status,
     flags)
CALL(int, statx, LOOKS, at, path, (AT, int flags, unsigned mask, struct statx *status), at, path,
     flags, mask, status)
CALL(int, access, LOOKS, AT_FDCWD, path, (const char *path, int mode), path, mode)
CALL(int, faccessat, LOOKS, at, path, (AT, int mode, int flags), at, path, mode, flags)
CALL(ssize_t, readlink, LOOKS, AT_FDCWD, path, (const char *path, char *to, size_t size), path, to,
     size)
CALL(ssize_t, readlinkat, LOOKS, at, path, (AT, char *to, size_t size), at, path, to, size)

CALL(int, mkdir, SPACE, AT_FDCWD, path, (const char *path, mode_t mode), path, mode)
CALL(int, mkdirat, SPACE, at, path, (AT, mode_t mode), at, path, mode)
CALL(int, link, SPACE, AT_FDCWD, to, (FROM_TO), from, to)
CALL(int, linkat, SPACE, to_at, to, (ATS, int flags), at, from, to_at, to, flags)
CALL(int, symlink, SPACE, AT_FDCWD, to, (FROM_TO), from, to)
CALL(int, symlinkat, SPACE, at, to, (const char *from, int at, const char *to), from, at, to)
CALL(int, rename, SPACE, AT_FDCWD, to, (FROM_TO), from, to)
CALL(int, renameat, SPACE, to_at, to, (ATS), at, from, to_at, to)
CALL(int, renameat2, SPACE, to_at, to, (ATS, unsigned flags), at, from, to_at, to, flags)
CALL(int, ftruncate, SPACE, fd, NULL, (FD, off_t size), fd, size)
CALL(int, ftruncate64, SPACE, fd, NULL, (FD, off64_t size), fd, size)

CALL(int, unlink, REMOVES, AT_FDCWD, path, (const char *path), path)
CALL(int, unlinkat, REMOVES, at, path, (AT, int flags), at, path, flags)
CALL(int, rmdir, REMOVES, AT_FDCWD, path, (const char *path), path)

CALL(int, fsync, SYNCS, fd, NULL, (FD), fd)
CALL(int, fdatasync, SYNCS, fd, NULL, (FD), fd)
CALL(int, syncfs, SYNCS, fd, NULL, (FD), fd)

CALL(int, chmod, OTHER, AT_FDCWD, path, (const char *path, mode_t mode), path, mode)
CALL(int, fchmod, OTHER, fd, NULL, (FD, mode_t mode), fd, mode)
CALL(int, fchmodat, OTHER, at, path, (AT, mode_t mode, int flags), at, path, mode, flags)
CALL(int, utimensat, OTHER, at, path, (AT, const struct timespec times[2], int flags), at,
     path, times, flags)
CALL(int, futimens, OTHER, fd, NULL, (FD, const struct timespec times[2]), fd, times)
CALL(int, flock, OTHER, fd, NULL, (FD, int operation), fd, operation)

BYTES(ssize_t, read, LOOKS, fd, size, (FD, void *data, size_t size), fd, data, size)
BYTES(ssize_t, pread, LOOKS, fd, size, (FD, void *data, size_t size, off_t at), fd, data, size, at)
BYTES(ssize_t, pread64, LOOKS, fd, size, (FD, void *data, size_t size, off64_t at), fd, data, size,
      at)
BYTES(ssize_t, readv, LOOKS, fd, count, (FD, const struct iovec *parts, int count), fd, parts, count)
BYTES(ssize_t, write, SPACE, fd, size, (FD, const void *data, size_t size), fd, data, size)
BYTES(ssize_t, pwrite, SPACE, fd, size, (FD, const void *data, size_t size, off_t at), fd, data,
      size, at)
BYTES(ssize_t, pwrite64, SPACE, fd, size, (FD, const void *data, size_t size, off64_t at), fd, data,
      size, at)
BYTES(ssize_t, writev, SPACE, fd, count, (FD, const struct iovec *parts, int count), fd, parts,
      count)
BYTES(ssize_t, copy_file_range, SPACE, to, size,
      (int from, off64_t *at, int to, off64_t *to_at, size_t size, unsigned flags), from, at, to,
      to_at, size, flags)
BYTES(ssize_t, sendfile, SPACE, to, size, (int to, int from, off_t *at, size_t size), to, from, at,
      size)
BYTES(ssize_t, sendfile64, SPACE, to, size, (int to, int from, off64_t *at, size_t size), to, from,
      at, size)

/* A mode comes only with a file that is made. */
#define OPEN(name, where, parameters, ...)                                                         \
    int name parameters                                                                            \
    {                                                                                              \
        static int (*next) parameters;                                                             \
        mode_t mode = 0;                                                                           \
        int makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;                         \
        if (makes) {                                                                               \
            va_list more;                                                                          \
            va_start(more, flags);                                                                 \
            mode = va_arg(more, mode_t);                                                           \
            va_end(more);                                                                          \
        }                                                                                          \
        if (next == NULL) next = (int (*) parameters)dlsym(RTLD_NEXT, #name);                      \
        enum act act = meet(#name, makes ? OPENS | SPACE : OPENS, where, path);                    \
        if (act == REFUSE) return -1;                                                              \
        return leave(act, next(__VA_ARGS__));                                                      \
    }

OPEN(open, AT_FDCWD, (const char *path, int flags, ...), path, flags, mode)
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), path, flags, mode)
OPEN(openat, at, (AT, int flags, ...), at, path, flags, mode)
OPEN(openat64, at, (AT, int flags, ...), at, path, flags, mode)

/* Locks of fcntl alone are counted: the rest asks for nothing of the file system. */
#define FCNTL(name)                                                                                \
    int name(FD, int command, ...)                                                                 \
    {                                                                                              \
        static int (*next)(FD, int command, ...);                                                  \
        va_list more;                                                                              \
        va_start(more, command);                                                                   \
        void *value = va_arg(more, void *);                                                        \
        va_end(more);                                                                              \
        if (next == NULL) next = (int (*)(FD, int, ...))dlsym(RTLD_NEXT, #name);                   \
        int locks = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK            \
                    || command == F_OFD_SETLKW;                                                    \
        enum act act = locks ? meet(#name, OTHER, fd, NULL) : PASS;                                \
        if (act == REFUSE) return -1;                                                              \
        return leave(act, next(fd, command, value));                                               \
    }

FCNTL(fcntl)
FCNTL(fcntl64)

/* What fails to close is closed all the same, as on Linux. */
int close(int fd)
{
    static int (*next)(int);
    if (next == NULL) next = (int (*)(int))dlsym(RTLD_NEXT, "close");
    enum act act = meet("close", SYNCS, fd, NULL);
    int error = errno, result = next(fd);
    if (act == REFUSE) {
        errno = error;
        return -1;
    }
    return leave(act, result);
}

DIR *opendir(const char *path)
{
    static DIR *(*next)(const char *);
    if (next == NULL) next = (DIR * (*)(const char *)) dlsym(RTLD_NEXT, "opendir");
    enum act act = meet("opendir", OPENS, AT_FDCWD, path);
    return act == REFUSE ? NULL : (DIR *)leave(act, (long)next(path));
}

DIR *fdopendir(int fd)
{
    static DIR *(*next)(int);
    if (next == NULL) next = (DIR * (*)(int)) dlsym(RTLD_NEXT, "fdopendir");
    enum act act = meet("fdopendir", OPENS, fd, NULL);
    return act == REFUSE ? NULL : (DIR *)leave(act, (long)next(fd));
}

#define READDIR(name, entry)                                                                       \
    struct entry *name(DIR *folder)                                                                \
    {                                                                                              \
        static struct entry *(*next)(DIR *);                                                       \
        if (next == NULL) next = (struct entry * (*)(DIR *)) dlsym(RTLD_NEXT, #name);              \
        enum act act = meet(#name, LOOKS, dirfd(folder), NULL);                                    \
        return act == REFUSE ? NULL : (struct entry *)leave(act, (long)next(folder));              \
    }

READDIR(readdir, dirent)
READDIR(readdir64, dirent64)

int closedir(DIR *folder)
{
    static int (*next)(DIR *);
    if (next == NULL) next = (int (*)(DIR *))dlsym(RTLD_NEXT, "closedir");
    enum act act = meet("closedir", OTHER, dirfd(folder), NULL);
    int error = errno, result = next(folder);
    if (act == REFUSE) {
        errno = error;
        return -1;
    }
    return leave(act, result);
}
