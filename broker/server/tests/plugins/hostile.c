// An ACL plugin that allows everything, but for topics below evil/ does what no honest plugin does:
// what DEED says.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define ACL "dunlin:plugin/acl@0.1.0"
#define PLUGIN "dunlin:plugin/plugin@0.1.0"

enum { LOOP, RECURSE, GROW, TRAP, WRONG, LARGE, LOG };

typedef struct {
  const char *bytes;
  size_t length;
} string;

__asm__(".section \".custom_section.component-type\",\"\",@\n"
        ".incbin \"sdk/src/guest/acl-plugin.component-type\"\n");

__attribute__((import_module("dunlin:plugin/log@0.1.0"), import_name("write")))
void log_write(uint32_t level, const char *message, size_t length);

static _Alignas(8) char arena[256 * 1024];
static size_t taken;

EXPORT("cabi_realloc")
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  size_t start = (taken + align - 1) & ~(align - 1);
  if (old || size > sizeof arena || start > sizeof arena - size) __builtin_trap();
  taken = start + size;
  return arena + start;
}

EXPORT(PLUGIN "#describe")
string *describe(void) {
  static const char text[] = "{\"name\":\"hostile\",\"version\":\"0.1.0\"}";
  static string manifest = {text, sizeof text - 1};
  return &manifest;
}

EXPORT(PLUGIN "#configure")
uint32_t *configure(const char *config, size_t length) {
  static uint32_t good[3];
  return good;
}

typedef struct {
  uint8_t action;
  string topic;
  uint8_t qos, retain;
  struct { const void *pairs; size_t length; } user_properties;
} question;

typedef struct {
  uint8_t effect;
  uint32_t ttl_ms;
  uint8_t has_scope;
  string scope;
} answer;

typedef struct {
  answer *answers;
  size_t length;
} answers;

static volatile uint32_t sink;

static uint32_t deeper(uint32_t depth) {
  volatile uint32_t here = depth;
  return deeper(depth + 1) + here;
}

// Does it; where it comes back at all, the answer is the one given.
static void evil(answer *answer) {
  switch (DEED) {
    case LOOP: for (;;) sink++;
    case RECURSE: sink = deeper(0); break;
    case GROW: while (__builtin_wasm_memory_grow(0, 16) != (size_t)-1) sink++; __builtin_trap();
    case TRAP: __builtin_trap();
    case WRONG: answer->effect = 9; break;
    case LARGE:
      if (__builtin_wasm_memory_grow(0, 200) == (size_t)-1) __builtin_trap();
      answer->has_scope = 1;
      answer->scope = (string){0, 12 * 1024 * 1024};
      break;
    case LOG:
      if (__builtin_wasm_memory_grow(0, 200) == (size_t)-1) __builtin_trap();
      log_write(2, 0, 10 * 1000 * 1000);
      break;
  }
}

EXPORT(ACL "#authorize")
answers *authorize(const char *client_id, size_t client_id_length,
                   uint32_t has_username, const char *username, size_t username_length,
                   const void *attributes, size_t attributes_length,
                   uint32_t has_address, const char *address, size_t address_length,
                   const char *listener, size_t listener_length,
                   const question *questions, size_t length) {
  static answers result;
  result = (answers){cabi_realloc(0, 0, _Alignof(answer), length * sizeof(answer)), length};
  for (size_t at = 0; at < length; at++) {
    string topic = questions[at].topic;
    result.answers[at] = (answer){.effect = 0, .ttl_ms = 60 * 1000};
    if (topic.length > 5 && topic.bytes[0] == 'e' && topic.bytes[1] == 'v') evil(&result.answers[at]);
  }
  return &result;
}

EXPORT("cabi_post_" ACL "#authorize")
void authorized(answers *result) { taken = 0; }
