/* A plugin for the worker's tests. Requests are commands; macros change what the image is made of. */
#define _GNU_SOURCE
#include "bindery_plugin.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MAGIC
#define MAGIC BINDERY_MAGIC
#endif
#ifndef MAJOR
#define MAJOR BINDERY_ABI_MAJOR
#endif
#ifndef SIZE
#define SIZE sizeof(bindery_plugin_v1_t)
#endif
#ifndef RESUME
#define RESUME resume
#endif

struct bindery_op {
  char text[256];
};

static char description[256] = "c plugin";

#ifdef CONSTRUCTOR
__attribute__((constructor)) static void constructor(void) {
  errno = 0;
  long result = CONSTRUCTOR;
  snprintf(description, sizeof description, "%ld errno %d", result, errno);
}
#endif

static int32_t describe(bindery_slice *out) {
#ifdef DESCRIBE
  DESCRIBE;
#else
  out->ptr = (const uint8_t *)description;
  out->len = strlen(description);
  return BINDERY_OK;
#endif
}

static void *thread(void *unused) { return unused; }

static long attack(const char *name) {
  pthread_t id;
  if (!strcmp(name, "socket")) return socket(AF_INET, SOCK_STREAM, 0);
  if (!strcmp(name, "socketpair")) return socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0, 0});
  if (!strcmp(name, "fork")) return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (!strcmp(name, "exec")) return execl("/bin/true", "true", (char *)0);
  if (!strcmp(name, "ptrace")) return ptrace(PTRACE_ATTACH, 1, 0, 0);
  if (!strcmp(name, "kill")) return kill(getppid(), 0);
  if (!strcmp(name, "wx")) return (long)mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!strcmp(name, "make exec")) return mprotect((void *)((uintptr_t)description & ~4095ul), 4096, PROT_READ | PROT_EXEC);
  if (!strcmp(name, "memfd")) return memfd_create("x", 0);
  if (!strcmp(name, "write elsewhere")) return write(3, "x", 1);
  if (!strcmp(name, "print")) return write(1, "x", 1);
  if (!strcmp(name, "read elsewhere")) return read(0, description, 1);
  if (!strcmp(name, "open")) return open("/etc/passwd", O_RDONLY);
  if (!strcmp(name, "open image")) return open("/proc/self/fd/5", O_RDONLY);
  if (!strcmp(name, "dumpable")) return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  if (!strcmp(name, "thread")) return errno = pthread_create(&id, 0, thread, 0), errno ? -1 : 0;
  if (!strcmp(name, "environment")) return environ && environ[0] ? 1 : 0;
  if (!strcmp(name, "handler")) return signal(SIGSYS, SIG_IGN) == SIG_ERR ? -1 : 0;
  if (!strcmp(name, "allocate")) return memset(malloc(8 << 20), 1, 8 << 20) != 0;
  if (!strcmp(name, "crash")) return *(volatile int *)8;
  if (!strcmp(name, "abort")) abort();
  if (!strcmp(name, "exit")) exit(0);
  if (!strcmp(name, "loop")) for (;;) {}
  return 0;
}

static int32_t answer(bindery_op *op, bindery_slice in, bindery_slice *out) {
  char name[64] = {0};
  memcpy(name, in.ptr, in.len < 63 ? in.len : 63);
  errno = 0;
  long result = attack(name);
  int error = errno;
  out->ptr = (const uint8_t *)op->text;
  out->len = (size_t)snprintf(op->text, sizeof op->text, "%s: %ld errno %d", name, result, error);
  if (!strcmp(name, "lie about length")) out->len = (size_t)1 << 40;
  if (!strcmp(name, "lie with null")) out->ptr = NULL;
  if (!strcmp(name, "nothing")) *out = (bindery_slice){NULL, 0};
  if (!strcmp(name, "unknown status")) return 7;
  return !strcmp(name, "fail") ? BINDERY_ERR_OOM : BINDERY_OK;
}

static int32_t start(bindery_slice in, bindery_op **handle, bindery_slice *out) {
  bindery_op *op = calloc(1, sizeof *op);
  if (!op) return BINDERY_ERR_OOM;
  int32_t status = answer(op, in, out);
  if (status == BINDERY_OK && !(in.len == 9 && !memcmp(in.ptr, "no handle", 9))) *handle = op;
  else free(op);
  return status;
}

__attribute__((unused)) static int32_t resume(bindery_op *op, bindery_slice in, bindery_slice *out) {
  return answer(op, in, out);
}

static void drop(bindery_op *op) {
  static const char text[] = "dropped\n";
  if (write(2, text, sizeof text - 1) < 0) abort();
  free(op);
}

#ifndef NO_TABLE
const bindery_plugin_v1_t bindery_plugin_v1 = {
    MAGIC, MAJOR, BINDERY_ABI_MINOR, SIZE, 0, describe, start, RESUME, drop, {0, 0, 0, 0}};
#else
void *unused_functions[] = {describe, start, RESUME, drop};
#endif
BINDERY_NOTE(0);
