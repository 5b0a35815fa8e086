// A stand-in for libcuda.so.1: it records every call, keeps device memory in ordinary memory and runs no kernel.
//
// It is as late as a driver may be. Work queued on a stream (copies, fills, event records) is carried out only when something
// waits for it, in stream order, so that a host buffer that is overwritten too early, or a copy that is not ordered against
// another stream, shows in the data; what a copy finds changed or freed is recorded as an error. Fresh device memory holds 0xFF.
//
// Settings, read from the environment when cuInit is called:
//   STANDIN_INIT        error code that cuInit returns
//   STANDIN_DRIVER      driver version, such as 12080
//   STANDIN_DEVICES     number of devices (2)
//   STANDIN_CAPABILITY  compute capability of each, such as 90
//   STANDIN_PROHIBITED  1: every device is in compute mode "prohibited"
#ifndef STANDIN_DRIVER_H
#define STANDIN_DRIVER_H

#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define API __attribute__((visibility("default")))

typedef int Result;

enum
{
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    INVALID_PTX = 218,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    ILLEGAL_STATE = 401,
};

// What can be alive. Handles stay allocated after their destruction, so that a use after it is an error and not a crash.
typedef enum
{
    CONTEXT,
    STREAM,
    EVENT,
    GRAPH,
    GRAPH_EXEC,
    MODULE,
    DEVICE_MEMORY,
    HOST_MEMORY,
    KINDS,
} Kind;

typedef struct
{
    uint32_t magic;
    Kind kind;
    bool alive;
} Object;

typedef enum
{
    DIRECT = 0,
    CAPTURED = 1,
    REPLAYED = 2,
} Origin;

// One recorded call, laid out for the tests.
typedef struct
{
    char call[40];
    char name[88];          // kernel of a launch
    uint64_t stream;        // 0 is the NULL stream
    uint64_t object;        // event, graph, memory, module
    uint64_t bytes;
    uint64_t hash;          // of a launch's argument buffer, of the bytes of a copy from page-locked memory
    uint64_t thread;
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t shared;
    uint32_t origin;
    uint32_t pageable;      // 1: a copy from or to memory that is not page-locked
    uint32_t capturing;     // streams under capture at the time
    int32_t result;
    uint32_t reserved;
} Entry;

typedef enum
{
    COPY,
    FILL,
    MARK,
    AWAIT,
    KERNEL,
} Work;

struct Stream;

typedef struct Op
{
    Work work;
    uint64_t sequence;
    void *target;
    const void *source;
    size_t bytes;
    int value;
    uint64_t hash;              // of a page-locked source when the copy was queued; 0 for other copies
    bool pageable;              // the target is host memory that is not page-locked, and there until the call returns
    void *owned;                // bytes of a pageable source, taken when the copy was queued
    struct Stream *awaited;
    uint64_t awaited_sequence;
    Entry launch;
    struct Op *next;
} Op;

typedef struct
{
    Object object;
    Op *first, *last;
    uint32_t kernels;
} Graph;

typedef struct Stream
{
    Object object;
    int flags;
    Op *first, *last;
    uint64_t queued, completed;
    Graph *capture;
    int capture_mode;
    uint64_t capture_thread;
    bool capture_broken;
    struct Stream *next;
} Stream;

typedef struct
{
    Object object;
    Stream *stream;
    uint64_t sequence;
} Event;

extern pthread_mutex_t gate;
extern Stream null_stream;

#define LOCKED pthread_mutex_lock(&gate)
#define UNLOCKED pthread_mutex_unlock(&gate)

uint64_t this_thread(void);
void *create(Kind kind, size_t size);
bool is(const void *handle, Kind kind);
void destroy(void *handle);

Entry *record(const char *call, const void *stream);
uint64_t hash_bytes(const void *bytes, size_t count);
Result bound(void);
bool capture_forbids(void);

Stream *stream_of(void *handle);
Op *queue(Stream *stream, Work work);
void append(Graph *graph, Op *op);
void drain(Stream *stream, uint64_t sequence);
void drain_all(void);
Result device_fault(void);

bool is_device(const void *pointer, size_t bytes);
size_t device_bytes(void);
bool is_page_locked(const void *pointer, size_t bytes);

#endif
