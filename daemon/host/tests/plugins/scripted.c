/* A plugin that does what its request tells it to.
 *
 * The request holds a script as text: "@0=hex:<step>;@1=abort;@drop=loop;": what start does, what the first resume
 * does, what drop does. The description is compiled in. */
#include "bindery_plugin.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint8_t description[] = {
#include "description.inc"
};

struct bindery_op {
  char *script;
  int at;
  uint8_t *out;
};

static char *find(const char *script, const char *key) {
  char *at = strstr(script, key);
  return at ? at + strlen(key) : NULL;
}

static size_t unhex(const char *from, uint8_t *to) {
  size_t n = 0;
  unsigned byte;
  for (; *from && *from != ';' && sscanf(from, "%2x", &byte) == 1; from += 2) to[n++] = (uint8_t)byte;
  return n;
}

static int is(const char *action, const char *name) { return strncmp(action, name, strlen(name)) == 0; }

static void misbehave(const char *action) {
  if (is(action, "abort")) {
    fputs("\033[31mthe last\nwords", stderr);
    abort();
  }
  if (is(action, "segv")) raise(SIGSEGV);
  if (is(action, "exit")) _exit(0);
  if (is(action, "socket")) socket(AF_INET, SOCK_STREAM, 0);
  if (is(action, "loop"))
    for (volatile int i = 0;; i++) {
    }
  if (is(action, "junk")) {
    ssize_t n = write(4, "this is certainly not a frame of the protocol", 45);
    (void)n;
  }
  if (is(action, "forge")) {
    /* a well-formed reply to another operation */
    static const uint8_t frame[24] = {0, 0, 0, 0, 1, 0, 0, 0, 0x77, 0x66};
    ssize_t n = write(4, frame, sizeof frame);
    (void)n;
  }
}

static int32_t run(bindery_op *op, bindery_slice *out) {
  char key[16];
  snprintf(key, sizeof key, "@%d=", op->at++);
  char *action = find(op->script, key);
  if (!action) return BINDERY_ERR_ARG;
  misbehave(action);
  if (is(action, "panic")) return BINDERY_ERR_PANIC;
  free(op->out);
  op->out = NULL;
  if (is(action, "huge")) {
    out->len = 2 * 1024 * 1024;
    op->out = calloc(out->len, 1);
    out->ptr = op->out;
    return BINDERY_OK;
  }
  char *hex = find(action, "hex:");
  if (!hex) return BINDERY_ERR_ARG;
  op->out = malloc(strlen(hex) / 2 + 1);
  out->len = unhex(hex, op->out);
  out->ptr = op->out;
  return BINDERY_OK;
}

static int32_t describe(bindery_slice *out) {
#ifdef SLOW
  misbehave("loop");
#endif
  out->ptr = description;
  out->len = sizeof description;
  return BINDERY_OK;
}

static int32_t start(bindery_slice request, bindery_op **handle, bindery_slice *out) {
  bindery_op *op = calloc(1, sizeof *op);
  op->script = calloc(request.len + 1, 1);
  /* zeros would end the text */
  for (size_t i = 0; i < request.len; i++) op->script[i] = request.ptr[i] ? (char)request.ptr[i] : ' ';
  *handle = op;
  return run(op, out);
}

static int32_t resume(bindery_op *op, bindery_slice results, bindery_slice *out) {
  (void)results;
  return run(op, out);
}

static void drop(bindery_op *op) {
  char *action = find(op->script, "@drop=");
  if (action) misbehave(action);
  free(op->script);
  free(op->out);
  free(op);
}

#ifdef NEEDS_OTHER
extern int other(void);
int use_other(void) { return other(); }
#endif

#ifndef NO_TABLE
const bindery_plugin_v1_t bindery_plugin_v1 = {
    .magic = BINDERY_MAGIC,
    .abi_major = BINDERY_ABI_MAJOR,
    .abi_minor = BINDERY_ABI_MINOR,
    .struct_size = sizeof(bindery_plugin_v1_t),
    .describe = describe,
    .start = start,
    .resume = resume,
    .drop = drop,
};
#else
const void *const keep[] = {(void *)describe, (void *)start, (void *)resume, (void *)drop};
#endif

#ifdef MAJOR
__attribute__((used, section(".note.bindery"), aligned(4))) static const bindery_note bindery_note_ = {
    8, 16, BINDERY_NOTE_TYPE, "Bindery", MAJOR, 0, 0, sizeof(bindery_plugin_v1_t)};
#elif !defined(NO_NOTE)
BINDERY_NOTE(0);
#endif
