// Streams, events, and the work queued on them.
#include "driver.h"

#include <stdlib.h>
#include <string.h>

Stream null_stream;

static Stream *streams;

Stream *stream_of(void *handle)
{
    return !handle ? &null_stream : is(handle, STREAM) ? handle : NULL;
}

void append(Graph *graph, Op *op)
{
    if (graph->last)
        graph->last->next = op;
    else
        graph->first = op;
    graph->last = op;
    graph->kernels += op->work == KERNEL;
}

Op *queue(Stream *stream, Work work)
{
    Op *op = calloc(1, sizeof(Op));
    op->work = work;
    if (stream->capture)
    {
        append(stream->capture, op);
        return op;
    }

    op->sequence = ++stream->queued;
    if (stream->last)
        stream->last->next = op;
    else
        stream->first = op;
    stream->last = op;
    return op;
}

// Memory that was freed after the work was queued, or captured, is not touched; the record says so.
static bool is_stale(const Op *op)
{
    bool target = is_device(op->target, op->bytes) || is_page_locked(op->target, op->bytes) || op->pageable;
    bool source = op->work == FILL || op->owned || is_device(op->source, op->bytes) || is_page_locked(op->source, op->bytes);
    return !target || !source;
}

static void perform(const Op *op)
{
    if ((op->work == COPY || op->work == FILL) && is_stale(op))
    {
        record("use after free", NULL)->result = ILLEGAL_ADDRESS;
        return;
    }

    if (op->hash && op->hash != hash_bytes(op->source, op->bytes))
        record("source overwritten before it was copied", NULL)->result = ILLEGAL_ADDRESS;
    switch (op->work)
    {
        case COPY: memcpy(op->target, op->source, op->bytes); break;
        case FILL: memset(op->target, op->value, op->bytes); break;
        case AWAIT: drain(op->awaited, op->awaited_sequence); break;
        case MARK: case KERNEL: break;
    }
}

void drain(Stream *stream, uint64_t sequence)
{
    while (stream->first && stream->completed < sequence)
    {
        Op *op = stream->first;
        perform(op);
        stream->completed = op->sequence;
        stream->first = op->next;
        if (!stream->first)
            stream->last = NULL;
        free(op->owned);
        free(op);
    }
}

void drain_all(void)
{
    drain(&null_stream, null_stream.queued);
    for (Stream *stream = streams; stream; stream = stream->next)
        drain(stream, stream->queued);
}

// A call that is unsafe while this thread captures, or anyone in global mode: it ends the capture.
bool capture_forbids(void)
{
    bool forbids = false;
    for (Stream *stream = streams; stream; stream = stream->next)
    {
        if (stream->capture && (stream->capture_mode == 0 || (stream->capture_mode == 1 && stream->capture_thread == this_thread())))
            forbids = stream->capture_broken = true;
    }

    return forbids;
}

static Result create_stream(void **handle, unsigned flags)
{
    LOCKED;
    Result result = bound();
    if (result == SUCCESS)
    {
        Stream *stream = create(STREAM, sizeof(Stream));
        stream->flags = flags;
        stream->next = streams;
        streams = stream;
        *handle = stream;
    }

    Entry *entry = record("cuStreamCreate", result == SUCCESS ? *handle : NULL);
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuStreamCreate(void **handle, unsigned flags)
{
    return create_stream(handle, flags);
}

API Result cuStreamCreateWithPriority(void **handle, unsigned flags, int priority)
{
    (void)priority;
    return create_stream(handle, flags);
}

API Result cuStreamDestroy_v2(void *handle)
{
    LOCKED;
    Result result = is(handle, STREAM) ? SUCCESS : INVALID_HANDLE;
    record("cuStreamDestroy", handle)->result = result;
    if (result == SUCCESS)
    {
        drain(handle, ((Stream *)handle)->queued);
        destroy(handle);
    }

    UNLOCKED;
    return result;
}

API Result cuStreamSynchronize(void *handle)
{
    LOCKED;
    Stream *stream = stream_of(handle);
    Result result = stream ? device_fault() : INVALID_HANDLE;
    if (result == SUCCESS)
        result = bound();
    if (result == SUCCESS && stream->capture)
    {
        stream->capture_broken = true;
        result = CAPTURE_UNSUPPORTED;
    }

    if (result == SUCCESS)
        drain(stream, stream->queued);
    record("cuStreamSynchronize", handle)->result = result;
    UNLOCKED;
    return result;
}

API Result cuStreamWaitEvent(void *handle, void *awaited, unsigned flags)
{
    (void)flags;
    LOCKED;
    Stream *stream = stream_of(handle);
    Result result = stream && is(awaited, EVENT) ? bound() : INVALID_HANDLE;
    if (result == SUCCESS && stream->capture)
        result = CAPTURE_UNSUPPORTED;
    if (result == SUCCESS && ((Event *)awaited)->stream)
    {
        Op *op = queue(stream, AWAIT);
        op->awaited = ((Event *)awaited)->stream;
        op->awaited_sequence = ((Event *)awaited)->sequence;
    }

    Entry *entry = record("cuStreamWaitEvent", handle);
    entry->object = (uint64_t)awaited;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuEventCreate(void **handle, unsigned flags)
{
    (void)flags;
    LOCKED;
    Result result = bound();
    if (result == SUCCESS)
        *handle = create(EVENT, sizeof(Event));
    Entry *entry = record("cuEventCreate", NULL);
    entry->object = result == SUCCESS ? (uint64_t)*handle : 0;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuEventDestroy_v2(void *handle)
{
    LOCKED;
    Result result = is(handle, EVENT) ? SUCCESS : INVALID_HANDLE;
    if (result == SUCCESS)
        destroy(handle);
    Entry *entry = record("cuEventDestroy", NULL);
    entry->object = (uint64_t)handle;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuEventRecord(void *handle, void *stream_handle)
{
    LOCKED;
    Stream *stream = stream_of(stream_handle);
    Result result = stream && is(handle, EVENT) ? bound() : INVALID_HANDLE;
    if (result == SUCCESS && stream->capture)
        result = CAPTURE_UNSUPPORTED;
    if (result == SUCCESS)
    {
        Event *event = handle;
        event->stream = stream;
        event->sequence = queue(stream, MARK)->sequence;
    }

    Entry *entry = record("cuEventRecord", stream_handle);
    entry->object = (uint64_t)handle;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuEventQuery(void *handle)
{
    LOCKED;
    Event *event = handle;
    Result result = is(handle, EVENT) ? bound() : INVALID_HANDLE;
    if (result == SUCCESS && event->stream && event->stream->completed < event->sequence)
        result = NOT_READY;
    Entry *entry = record("cuEventQuery", NULL);
    entry->object = (uint64_t)handle;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuEventSynchronize(void *handle)
{
    LOCKED;
    Event *event = handle;
    Result result = is(handle, EVENT) ? device_fault() : INVALID_HANDLE;
    if (result == SUCCESS)
        result = bound();
    if (result == SUCCESS && event->stream)
        drain(event->stream, event->sequence);
    Entry *entry = record("cuEventSynchronize", event && result == SUCCESS ? event->stream : NULL);
    entry->object = (uint64_t)handle;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuEventElapsedTime(float *milliseconds, void *start, void *end)
{
    *milliseconds = 1;
    return is(start, EVENT) && is(end, EVENT) ? SUCCESS : INVALID_HANDLE;
}
