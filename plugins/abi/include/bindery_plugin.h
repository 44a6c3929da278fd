/* bindery_plugin.h - the whole boundary between Bindery and a provider plugin.
 *
 * A plugin exports one data symbol, bindery_plugin_v1, and carries one ELF note in the section .note.bindery,
 * which is read from the file before anything is loaded. The bytes that cross the table are protobuf messages of
 * bindery.plugin.v1: describe gives a Description, start takes a StartRequest, resume takes the results of effects,
 * and both give a Step.
 *
 * Rules:
 *  1. Calls with different handles may run at once and on any thread; calls with the same handle never overlap.
 *  2. Input is valid during the call only. Copy what you keep.
 *  3. Output is borrowed from the handle until the next call with this handle (from describe: for ever). There is no
 *     free function.
 *  4. Nothing unwinds out of the library.
 *  5. A negative status comes with no bytes. Every foreseeable failure is a Step with `failed` set, and BINDERY_OK.
 *  6. start gives a handle whenever it returns BINDERY_OK. drop may come at any point, and comes once.
 *  7. No input or output, no threads, no clock, no environment, no signals, no state shared between operations.
 */
#ifndef BINDERY_PLUGIN_H
#define BINDERY_PLUGIN_H
#include <stddef.h>
#include <stdint.h>

#define BINDERY_MAGIC 0x01595245444e4942ull /* "BINDERY\x01", little endian */
#define BINDERY_ABI_MAJOR 1u
#define BINDERY_ABI_MINOR 0u
#define BINDERY_FLAG_PANIC_UNWIND (1u << 0)
#define BINDERY_FLAG_RUST_SDK (1u << 1)

#define BINDERY_OK 0
#define BINDERY_ERR_PANIC (-1) /* a panic escaped even the typed-error path */
#define BINDERY_ERR_ARG (-2)
#define BINDERY_ERR_OOM (-3)

#define BINDERY_NOTE_TYPE 0x424e4401u

/* ptr may be NULL iff len == 0 */
typedef struct bindery_slice {
  const uint8_t *ptr;
  size_t len;
} bindery_slice;

/* opaque, owned by the plugin */
typedef struct bindery_op bindery_op;

typedef struct bindery_plugin_v1_t {
  uint64_t magic; /* these five are frozen in every major version */
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t struct_size; /* sizeof the table the plugin was built with */
  uint32_t flags;
  int32_t (*describe)(bindery_slice *out);
  int32_t (*start)(bindery_slice request, bindery_op **handle, bindery_slice *out); /* runs to the first Step */
  int32_t (*resume)(bindery_op *handle, bindery_slice results, bindery_slice *out); /* runs to the next Step */
  void (*drop)(bindery_op *handle);
  const void *reserved[4]; /* NULL in 1.0 */
} bindery_plugin_v1_t; /* 88 bytes on LP64 */

#ifdef __cplusplus
extern "C"
#else
extern
#endif
__attribute__((visibility("default"))) const bindery_plugin_v1_t bindery_plugin_v1; /* data, not a function */

typedef struct bindery_note {
  uint32_t namesz;
  uint32_t descsz;
  uint32_t type;
  char name[8];
  uint32_t major;
  uint32_t minor;
  uint32_t flags;
  uint32_t size;
} bindery_note;

#define BINDERY_NOTE(flags_) \
  __attribute__((used, section(".note.bindery"), aligned(4))) static const bindery_note bindery_note_ = { \
      8, 16, BINDERY_NOTE_TYPE, "Bindery", BINDERY_ABI_MAJOR, BINDERY_ABI_MINOR, (flags_), \
      sizeof(bindery_plugin_v1_t)}
#endif
