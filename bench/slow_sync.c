/* Preloaded into a server, adds SLOW_SYNC_MS milliseconds to each fsync and fdatasync, and counts them.
 *
 * The count is kept in the first eight bytes of the file that SLOW_SYNC_COUNT names, for the measurer to see that
 * the delay was there: a database that syncs by another way would go on as fast as ever.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int (*sync_call)(int);

static sync_call next_fsync, next_fdatasync;
static long milliseconds;
static uint64_t *count;

__attribute__((constructor)) static void prepare(void) {
    const char *added = getenv("SLOW_SYNC_MS"), *path = getenv("SLOW_SYNC_COUNT");
    next_fsync = (sync_call)dlsym(RTLD_NEXT, "fsync");
    next_fdatasync = (sync_call)dlsym(RTLD_NEXT, "fdatasync");
    milliseconds = added ? strtol(added, NULL, 10) : 0;
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) count = mapped;
    close(file);
}

static void wait_and_count(void) {
    int kept = errno;
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) && errno == EINTR) {
    }
    if (count) __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    errno = kept;
}

int fsync(int file) {
    wait_and_count();
    return next_fsync(file);
}

int fdatasync(int file) {
    wait_and_count();
    return next_fdatasync(file);
}
