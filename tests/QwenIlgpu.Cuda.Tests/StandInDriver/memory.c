// Device memory, page-locked host memory, copies and fills.
#include "driver.h"

#include <stdlib.h>
#include <string.h>

typedef struct Block
{
    Object object;
    char *start;
    size_t bytes;
    bool registered;        // host memory that belongs to the caller
    struct Block *next;
} Block;

static const size_t LARGEST_POISONED = 1ull << 30;

static Block *blocks;

static Block *find(const void *pointer, size_t bytes, Kind kind)
{
    for (Block *block = blocks; block; block = block->next)
    {
        const char *start = pointer;
        if (block->object.kind == kind && start >= block->start && start + bytes <= block->start + block->bytes)
            return block;
    }

    return NULL;
}

bool is_device(const void *pointer, size_t bytes)
{
    return find(pointer, bytes, DEVICE_MEMORY) != NULL;
}

bool is_page_locked(const void *pointer, size_t bytes)
{
    return find(pointer, bytes, HOST_MEMORY) != NULL;
}

size_t device_bytes(void)
{
    size_t bytes = 0;
    for (Block *block = blocks; block; block = block->next)
        bytes += block->object.kind == DEVICE_MEMORY ? block->bytes : 0;
    return bytes;
}

static Block *add(Kind kind, void *start, size_t bytes)
{
    Block *block = create(kind, sizeof(Block));
    block->start = start;
    block->bytes = bytes;
    block->next = blocks;
    blocks = block;
    return block;
}

static Result allocate(const char *call, Kind kind, void **pointer, size_t bytes)
{
    LOCKED;
    Result result = bound();
    if (result == SUCCESS && bytes == 0)
        result = INVALID_VALUE;
    if (result == SUCCESS && capture_forbids())
        result = CAPTURE_UNSUPPORTED;
    if (result == SUCCESS)
    {
        *pointer = aligned_alloc(512, (bytes + 511) & ~(size_t)511);
        result = *pointer ? SUCCESS : OUT_OF_MEMORY;
    }

    if (result == SUCCESS)
    {
        add(kind, *pointer, bytes);
        if (bytes <= LARGEST_POISONED)
            memset(*pointer, 0xff, bytes);
    }

    Entry *entry = record(call, NULL);
    entry->bytes = bytes;
    entry->result = result;
    entry->object = result == SUCCESS ? (uint64_t)*pointer : 0;
    UNLOCKED;
    return result;
}

// Work in flight ends first, as it does when a driver frees memory.
static Result release(const char *call, Kind kind, void *pointer)
{
    LOCKED;
    Result result = capture_forbids() ? CAPTURE_UNSUPPORTED : INVALID_VALUE;
    Block **link = &blocks;
    while (*link && !((*link)->start == pointer && (*link)->object.kind == kind))
        link = &(*link)->next;
    if (*link && result == INVALID_VALUE)
    {
        drain_all();
        Block *block = *link;
        *link = block->next;
        destroy(block);
        if (!block->registered)
            free(pointer);
        free(block);
        result = SUCCESS;
    }

    Entry *entry = record(call, NULL);
    entry->object = (uint64_t)pointer;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuMemAlloc_v2(void **pointer, size_t bytes)
{
    return allocate("cuMemAlloc", DEVICE_MEMORY, pointer, bytes);
}

API Result cuMemFree_v2(void *pointer)
{
    return release("cuMemFree", DEVICE_MEMORY, pointer);
}

API Result cuMemAllocHost_v2(void **pointer, size_t bytes)
{
    return allocate("cuMemAllocHost", HOST_MEMORY, pointer, bytes);
}

API Result cuMemFreeHost(void *pointer)
{
    return release("cuMemFreeHost", HOST_MEMORY, pointer);
}

API Result cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned flags)
{
    (void)flags;
    LOCKED;
    Result result = bound();
    if (result == SUCCESS)
        add(HOST_MEMORY, pointer, bytes)->registered = true;
    Entry *entry = record("cuMemHostRegister", NULL);
    entry->bytes = bytes;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuMemHostUnregister(void *pointer)
{
    return release("cuMemHostUnregister", HOST_MEMORY, pointer);
}

API Result cuMemHostGetDevicePointer_v2(void **device, void *host, unsigned flags)
{
    (void)flags;
    *device = host;
    return is_page_locked(host, 1) ? SUCCESS : INVALID_VALUE;
}

API Result cuPointerGetAttribute(void *value, int attribute, void *pointer)
{
    LOCKED;
    int type = is_device(pointer, 1) ? 2 : is_page_locked(pointer, 1) ? 1 : 0;
    UNLOCKED;
    if (attribute != 2 || !type)
        return INVALID_VALUE;
    *(unsigned *)value = type;
    return SUCCESS;
}

static Result copy(const char *call, void *target, const void *source, size_t bytes, void *handle)
{
    LOCKED;
    Stream *stream = stream_of(handle);
    bool target_host = !is_device(target, bytes);
    bool source_host = !is_device(source, bytes);
    bool pageable = (target_host && !is_page_locked(target, bytes)) || (source_host && !is_page_locked(source, bytes));
    Result result = bound();
    if (result == SUCCESS && !stream)
        result = INVALID_HANDLE;
    if (result == SUCCESS && target_host && source_host)
        result = INVALID_VALUE;
    if (result == SUCCESS && pageable && stream->capture)
        result = CAPTURE_UNSUPPORTED;
    if (result == SUCCESS)
    {
        Op *op = queue(stream, COPY);
        op->target = target;
        op->source = source;
        op->bytes = bytes;
        if (source_host && !pageable && !stream->capture)
            op->hash = hash_bytes(source, bytes);
        if (pageable && source_host)
        {
            op->owned = malloc(bytes);
            op->source = memcpy(op->owned, source, bytes);
        }

        if (pageable && target_host)
        {
            op->pageable = true;
            drain(stream, stream->queued);
        }
    }

    Entry *entry = record(call, handle);
    entry->bytes = bytes;
    entry->pageable = pageable;
    entry->object = (uint64_t)(source_host ? source : target);
    entry->hash = source_host ? hash_bytes(source, bytes) : 0;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuMemcpyAsync(void *target, const void *source, size_t bytes, void *stream)
{
    return copy("cuMemcpyAsync", target, source, bytes, stream);
}

API Result cuMemcpyHtoDAsync_v2(void *target, const void *source, size_t bytes, void *stream)
{
    return copy("cuMemcpyHtoDAsync", target, source, bytes, stream);
}

API Result cuMemcpyDtoHAsync_v2(void *target, const void *source, size_t bytes, void *stream)
{
    return copy("cuMemcpyDtoHAsync", target, source, bytes, stream);
}

API Result cuMemsetD8Async(void *target, unsigned char value, size_t bytes, void *handle)
{
    LOCKED;
    Stream *stream = stream_of(handle);
    Result result = bound();
    if (result == SUCCESS && !stream)
        result = INVALID_HANDLE;
    if (result == SUCCESS && !is_device(target, bytes))
        result = INVALID_VALUE;
    if (result == SUCCESS)
    {
        Op *op = queue(stream, FILL);
        op->target = target;
        op->value = value;
        op->bytes = bytes;
    }

    Entry *entry = record("cuMemsetD8Async", handle);
    entry->bytes = bytes;
    entry->result = result;
    UNLOCKED;
    return result;
}
