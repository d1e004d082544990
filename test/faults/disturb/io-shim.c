/*
 * Stands between a process and the files of one folder, loaded by LD_PRELOAD:
 * makes writes and fsyncs slow or fail, as a control block in shared memory
 * says, and keeps a copy of each file as the disk would have it.
 *
 *   PARLANCE_TEST_SHIM_DIR      the folder, without links; not those below it
 *   PARLANCE_TEST_SHIM_CONTROL  the file with the control block
 *
 * The copy of <dir>/<name> is <dir>/.durable/<name>. It gets what was written
 * when the file is synced. Making, renaming and removing a file is durable at
 * once. After an fsync that was made to fail, what it was to save is not
 * tried again: Linux marks such pages clean.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* io-shim.ts knows this layout. */
struct control {
  /* Settings. */
  uint32_t fsync_errno, fsync_percent, fsync_delay_ms;
  uint32_t write_errno, write_percent;
  uint32_t short_percent;
  uint32_t seed;
  uint32_t keeps_durable;
  char name_ends_with[32];
  /* Counters. */
  uint64_t fsyncs, failed_fsyncs, writes, failed_writes, draws;
};

struct range {
  off_t from, to;
};

/* A file of the folder, and what was written to it since it was last synced. */
struct file {
  struct file *next;
  char name[NAME_MAX + 1];
  struct range *dirty;
  size_t count, room;
};

static const char *dir;
static size_t dir_length;
static struct control *control;
static struct file *files;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The C library's own function. */
#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("PARLANCE_TEST_SHIM_CONTROL");
  const char *folder = getenv("PARLANCE_TEST_SHIM_DIR");
  if (path == NULL || folder == NULL) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  void *memory = fd < 0 ? MAP_FAILED
                        : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    fprintf(stderr, "io-shim: cannot map %s: %s\n", path, strerror(errno));
    _exit(127);
  }
  close(fd);
  dir_length = strlen(folder);
  dir = strdup(folder);
  control = memory;
}

/* Finds the name in a path of a file right in the folder; NULL when it is not. */
static const char *name_in(const char *path) {
  if (strncmp(path, dir, dir_length) != 0 || path[dir_length] != '/') return NULL;
  const char *name = path + dir_length + 1;
  if (*name == '\0' || strchr(name, '/') != NULL || strcmp(name, ".durable") == 0) return NULL;
  return name;
}

/* Finds the name of an open file of the folder; NULL when it is no such file or was removed. */
static const char *name_of(int fd, char path[PATH_MAX]) {
  if (control == NULL) return NULL;
  char link[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  int keep = errno;
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  errno = keep;
  if (length <= 0) return NULL;
  path[length] = '\0';
  const char *name = name_in(path);
  struct stat status;
  if (name == NULL || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink == 0) return NULL;
  return name;
}

static int ends_with(const char *name, const char *end) {
  size_t length = strlen(name), end_length = strlen(end);
  return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

static int is_chosen(const char *name) { return ends_with(name, control->name_ends_with); }

/* Draws by the seed and the number of the draw (SplitMix64). */
static int happens(uint32_t percent) {
  if (percent == 0 || percent >= 100) return percent != 0;
  uint64_t draw = __atomic_add_fetch(&control->draws, 1, __ATOMIC_RELAXED);
  uint64_t mixed = control->seed + draw * 0x9e3779b97f4a7c15u;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return (mixed ^ (mixed >> 31)) % 100 < percent;
}

static void count(uint64_t *counter) { __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED); }

/* A test whose copy is not right has no meaning, so it ends. */
static void give_up(const char *what, const char *name) {
  dprintf(STDERR_FILENO, "io-shim: cannot %s %s: %s\n", what, name, strerror(errno));
  _exit(127);
}

static int keeps_durable(const char *name) {
  /* Shared memory lives and dies with the machine. */
  return control->keeps_durable && !ends_with(name, "-shm");
}

static void durable_path(const char *name, char path[PATH_MAX]) {
  snprintf(path, PATH_MAX, "%s/.durable/%s", dir, name);
}

/*
 * Reads through the process's own descriptor where it can: to open the file
 * again and close it would drop the locks the process has on it.
 */
static void copy_range(int fd, int to, struct range range, const char *name) {
  char block[65536], source[32];
  int from = fd;
  if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
    snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
    from = open(source, O_RDONLY | O_CLOEXEC);
  }
  while (range.from < range.to) {
    size_t wanted = range.to - range.from < (off_t)sizeof block ? (size_t)(range.to - range.from) : sizeof block;
    ssize_t got = pread(from, block, wanted, range.from);
    if (got == 0) break; /* The file has become shorter. */
    if (got < 0 || REAL(pwrite64)(to, block, got, range.from) != got) give_up("copy", name);
    range.from += got;
  }
  if (from != fd) close(from);
}

static void add_dirty(struct file *file, off_t from, off_t to) {
  if (from >= to) return;
  if (file->count > 0) {
    struct range *last = &file->dirty[file->count - 1];
    if (from >= last->from && from <= last->to) {
      if (to > last->to) last->to = to;
      return;
    }
  }
  if (file->count == file->room) {
    file->room = file->room == 0 ? 16 : file->room * 2;
    file->dirty = realloc(file->dirty, file->room * sizeof *file->dirty);
    if (file->dirty == NULL) give_up("remember writes to", file->name);
  }
  file->dirty[file->count++] = (struct range){from, to};
}

static struct file **place_of(const char *name) {
  struct file **place = &files;
  while (*place != NULL && strcmp((*place)->name, name) != 0) place = &(*place)->next;
  return place;
}

static void forget(const char *name) {
  struct file **place = place_of(name), *file = *place;
  if (file == NULL) return;
  *place = file->next;
  free(file->dirty);
  free(file);
}

/*
 * Finds or makes the entry of a file that is about to change. Without a copy
 * it is durable as it is. With one, from an earlier process, anything may
 * still be in memory only.
 */
static struct file *touch(int fd, const char *name) {
  struct file *file = *place_of(name);
  if (file != NULL) return file;
  file = calloc(1, sizeof *file);
  if (file == NULL) give_up("remember", name);
  snprintf(file->name, sizeof file->name, "%s", name);
  file->next = files;
  files = file;

  char path[PATH_MAX];
  struct stat status;
  durable_path(name, path);
  if (fstat(fd, &status) != 0) give_up("look at", name);
  struct range all = {0, status.st_size};
  if (access(path, F_OK) == 0) {
    add_dirty(file, all.from, all.to);
    return file;
  }
  /* Made beside its place, so that a kill leaves no half of it. */
  char part[PATH_MAX + 8];
  snprintf(part, sizeof part, "%s/.durable/.part", dir);
  int to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (to < 0) give_up("copy", name);
  copy_range(fd, to, all, name);
  close(to);
  if (REAL(rename)(part, path) != 0) give_up("copy", name);
  return file;
}

/* Brings the copy to what the file is now, where it was written. */
static void make_durable(int fd, const char *name) {
  struct file *file = touch(fd, name);
  char path[PATH_MAX];
  struct stat status;
  durable_path(name, path);
  int to = open(path, O_WRONLY | O_CLOEXEC);
  if (to < 0) give_up("sync", name);
  for (size_t i = 0; i < file->count; i++) copy_range(fd, to, file->dirty[i], name);
  if (fstat(fd, &status) != 0 || REAL(ftruncate64)(to, status.st_size) != 0) give_up("sync", name);
  close(to);
  file->count = 0;
}

static void before_change(int fd, const char *name) {
  if (!keeps_durable(name)) return;
  pthread_mutex_lock(&lock);
  touch(fd, name);
  pthread_mutex_unlock(&lock);
}

static void after_change(int fd, const char *name, off_t from, off_t to) {
  if (!keeps_durable(name)) return;
  pthread_mutex_lock(&lock);
  add_dirty(touch(fd, name), from, to);
  pthread_mutex_unlock(&lock);
}

/* Counts a write and says whether it fails, with errno set. */
static int fails_write(const char *name) {
  count(&control->writes);
  if (control->write_errno == 0 || !is_chosen(name) || !happens(control->write_percent)) return 0;
  count(&control->failed_writes);
  errno = control->write_errno;
  return 1;
}

static size_t shortened(const char *name, size_t size) {
  return size > 1 && is_chosen(name) && happens(control->short_percent) ? size / 2 : size;
}

static int sync_file(int fd, int (*sync)(int)) {
  char path[PATH_MAX];
  const char *name = name_of(fd, path);
  if (name == NULL) return sync(fd);
  count(&control->fsyncs);
  uint32_t delay_ms = is_chosen(name) ? control->fsync_delay_ms : 0;
  if (delay_ms > 0) {
    struct timespec delay = {delay_ms / 1000, (delay_ms % 1000) * 1000000L};
    nanosleep(&delay, NULL);
  }
  if (control->fsync_errno != 0 && is_chosen(name) && happens(control->fsync_percent)) {
    count(&control->failed_fsyncs);
    if (keeps_durable(name)) {
      pthread_mutex_lock(&lock);
      touch(fd, name)->count = 0;
      pthread_mutex_unlock(&lock);
    }
    errno = control->fsync_errno;
    return -1;
  }
  int result = sync(fd);
  if (result == 0 && keeps_durable(name)) {
    pthread_mutex_lock(&lock);
    make_durable(fd, name);
    pthread_mutex_unlock(&lock);
  }
  return result;
}

int fsync(int fd) { return sync_file(fd, REAL(fsync)); }

int fdatasync(int fd) { return sync_file(fd, REAL(fdatasync)); }

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
  char path[PATH_MAX];
  const char *name = name_of(fd, path);
  if (name == NULL) return REAL(pwrite64)(fd, bytes, size, at);
  if (fails_write(name)) return -1;
  before_change(fd, name);
  ssize_t written = REAL(pwrite64)(fd, bytes, shortened(name, size), at);
  if (written > 0) after_change(fd, name, at, at + written);
  return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { return pwrite64(fd, bytes, size, at); }

ssize_t write(int fd, const void *bytes, size_t size) {
  char path[PATH_MAX];
  const char *name = name_of(fd, path);
  if (name == NULL) return REAL(write)(fd, bytes, size);
  if (fails_write(name)) return -1;
  before_change(fd, name);
  ssize_t written = REAL(write)(fd, bytes, shortened(name, size));
  /* After the write, because a file opened for appending moves there first. */
  off_t end = lseek(fd, 0, SEEK_CUR);
  if (written > 0) after_change(fd, name, end - written, end);
  return written;
}

ssize_t writev(int fd, const struct iovec *parts, int part_count) {
  char path[PATH_MAX];
  const char *name = name_of(fd, path);
  if (name == NULL) return REAL(writev)(fd, parts, part_count);
  if (fails_write(name)) return -1;
  before_change(fd, name);
  ssize_t written = REAL(writev)(fd, parts, part_count);
  off_t end = lseek(fd, 0, SEEK_CUR);
  if (written > 0) after_change(fd, name, end - written, end);
  return written;
}

int ftruncate64(int fd, off64_t size) {
  char path[PATH_MAX];
  const char *name = name_of(fd, path);
  if (name == NULL) return REAL(ftruncate64)(fd, size);
  if (fails_write(name)) return -1;
  struct stat before;
  before_change(fd, name);
  if (fstat(fd, &before) != 0) return -1;
  int result = REAL(ftruncate64)(fd, size);
  /* If it grows again without a write there are zeros where the copy has bytes. */
  if (result == 0) after_change(fd, name, size, before.st_size);
  return result;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int unlink(const char *path) {
  int result = REAL(unlink)(path);
  const char *name = result == 0 && control != NULL ? name_in(path) : NULL;
  if (name == NULL || !keeps_durable(name)) return result;
  char copy[PATH_MAX];
  durable_path(name, copy);
  pthread_mutex_lock(&lock);
  forget(name);
  REAL(unlink)(copy);
  pthread_mutex_unlock(&lock);
  return 0;
}

int rename(const char *from, const char *to) {
  int result = REAL(rename)(from, to);
  if (result != 0 || control == NULL) return result;
  const char *old = name_in(from), *new = name_in(to);
  char old_copy[PATH_MAX], new_copy[PATH_MAX];
  pthread_mutex_lock(&lock);
  if (new != NULL && keeps_durable(new)) {
    /* What was there before is gone, and its copy with it. */
    durable_path(new, new_copy);
    forget(new);
    REAL(unlink)(new_copy);
  }
  if (old != NULL && keeps_durable(old)) {
    durable_path(old, old_copy);
    struct file *file = *place_of(old);
    if (new == NULL || !keeps_durable(new)) {
      forget(old);
      REAL(unlink)(old_copy);
    } else {
      REAL(rename)(old_copy, new_copy);
      if (file != NULL) snprintf(file->name, sizeof file->name, "%s", new);
    }
  }
  pthread_mutex_unlock(&lock);
  return 0;
}
