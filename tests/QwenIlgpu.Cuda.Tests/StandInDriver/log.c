// The record of calls, the handles that are alive, and what the tests read of both.
#include "driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint32_t MAGIC = 0x5717d1f7;

pthread_mutex_t gate = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static Entry *entries;
static size_t count, capacity;
static int live[KINDS];
static int streams_capturing;

uint64_t this_thread(void)
{
    return (uint64_t)syscall(SYS_gettid);
}

void *create(Kind kind, size_t size)
{
    Object *object = calloc(1, size);
    object->magic = MAGIC;
    object->kind = kind;
    object->alive = true;
    live[kind]++;
    return object;
}

bool is(const void *handle, Kind kind)
{
    const Object *object = handle;
    return object && object->magic == MAGIC && object->kind == kind && object->alive;
}

void destroy(void *handle)
{
    Object *object = handle;
    object->alive = false;
    live[object->kind]--;
}

Entry *record(const char *call, const void *stream)
{
    if (count == capacity)
    {
        capacity = capacity ? capacity * 2 : 4096;
        entries = realloc(entries, capacity * sizeof(Entry));
    }

    Entry *entry = &entries[count++];
    memset(entry, 0, sizeof *entry);
    strncpy(entry->call, call, sizeof entry->call - 1);
    entry->stream = (uint64_t)stream;
    entry->thread = this_thread();
    entry->capturing = streams_capturing;
    return entry;
}

uint64_t hash_bytes(const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    uint64_t hash = 14695981039346656037ull;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ byte[i]) * 1099511628211ull;
    return hash;
}

void capturing_changed(int by)
{
    streams_capturing += by;
}

API int standin_entry_size(void)
{
    return sizeof(Entry);
}

API long standin_count(void)
{
    LOCKED;
    long result = (long)count;
    UNLOCKED;
    return result;
}

API int standin_read(long first, long number, Entry *target)
{
    LOCKED;
    bool inside = first >= 0 && number >= 0 && (size_t)(first + number) <= count;
    if (inside)
        memcpy(target, entries + first, number * sizeof(Entry));
    UNLOCKED;
    return inside ? SUCCESS : INVALID_VALUE;
}

API void standin_clear(void)
{
    LOCKED;
    count = 0;
    UNLOCKED;
}

// A fault as a device has it: from some call on, whatever waits for the device fails.
static int fault;

Result device_fault(void)
{
    return fault;
}

API void standin_fault(int error)
{
    LOCKED;
    fault = error;
    UNLOCKED;
}

API int standin_live(int kind)
{
    LOCKED;
    int result = kind >= 0 && kind < KINDS ? live[kind] : -1;
    UNLOCKED;
    return result;
}
