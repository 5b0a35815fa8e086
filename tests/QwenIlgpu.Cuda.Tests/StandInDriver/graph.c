// Stream capture and graph replay.
#include "driver.h"

#include <stdlib.h>
#include <string.h>

void capturing_changed(int by);

static Op *copied(const Op *op)
{
    Op *copy = malloc(sizeof(Op));
    memcpy(copy, op, sizeof(Op));
    copy->next = NULL;
    return copy;
}

API Result cuStreamBeginCapture_v2(void *handle, int mode)
{
    LOCKED;
    Result result = is(handle, STREAM) ? bound() : CAPTURE_UNSUPPORTED;
    Stream *stream = handle;
    if (result == SUCCESS && stream->capture)
        result = ILLEGAL_STATE;
    if (result == SUCCESS)
    {
        stream->capture = create(GRAPH, sizeof(Graph));
        stream->capture_mode = mode;
        stream->capture_thread = this_thread();
        stream->capture_broken = false;
        capturing_changed(1);
    }

    record("cuStreamBeginCapture", handle)->result = result;
    UNLOCKED;
    return result;
}

API Result cuStreamEndCapture(void *handle, void **graph)
{
    LOCKED;
    Stream *stream = handle;
    Result result = is(handle, STREAM) && stream->capture ? SUCCESS : ILLEGAL_STATE;
    *graph = NULL;
    if (result == SUCCESS)
    {
        if (stream->capture_broken)
        {
            destroy(stream->capture);
            result = CAPTURE_INVALIDATED;
        }
        else
        {
            *graph = stream->capture;
        }

        stream->capture = NULL;
        capturing_changed(-1);
    }

    Entry *entry = record("cuStreamEndCapture", handle);
    entry->object = (uint64_t)*graph;
    entry->bytes = *graph ? ((Graph *)*graph)->kernels : 0;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuStreamIsCapturing(void *handle, int *status)
{
    LOCKED;
    Stream *stream = stream_of(handle);
    *status = !stream || !stream->capture ? 0 : stream->capture_broken ? 2 : 1;
    UNLOCKED;
    return stream ? SUCCESS : INVALID_HANDLE;
}

static Result instantiate(void **executable, void *graph)
{
    LOCKED;
    Result result = is(graph, GRAPH) ? bound() : INVALID_HANDLE;
    if (result == SUCCESS)
    {
        Graph *exec = create(GRAPH_EXEC, sizeof(Graph));
        for (const Op *op = ((Graph *)graph)->first; op; op = op->next)
            append(exec, copied(op));
        *executable = exec;
    }

    Entry *entry = record("cuGraphInstantiate", NULL);
    entry->object = result == SUCCESS ? (uint64_t)*executable : 0;
    entry->bytes = result == SUCCESS ? ((Graph *)graph)->kernels : 0;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags)
{
    (void)flags;
    return instantiate(executable, graph);
}

// Every kernel of the graph is recorded again, as replayed.
API Result cuGraphLaunch(void *executable, void *handle)
{
    LOCKED;
    Stream *stream = stream_of(handle);
    Result result = stream && is(executable, GRAPH_EXEC) ? bound() : INVALID_HANDLE;
    if (result == SUCCESS && stream->capture)
        result = CAPTURE_UNSUPPORTED;
    Entry *entry = record("cuGraphLaunch", handle);
    entry->object = (uint64_t)executable;
    entry->bytes = result == SUCCESS ? ((Graph *)executable)->kernels : 0;
    entry->result = result;
    for (const Op *node = result == SUCCESS ? ((Graph *)executable)->first : NULL; node; node = node->next)
    {
        Op *op = queue(stream, node->work);
        op->target = node->target;
        op->source = node->source;
        op->bytes = node->bytes;
        op->value = node->value;
        if (node->work != KERNEL)
            continue;
        Entry *launch = record("cuLaunchKernel", handle);
        uint64_t thread = launch->thread;
        *launch = node->launch;
        launch->stream = (uint64_t)handle;
        launch->thread = thread;
        launch->capturing = 0;
        launch->origin = REPLAYED;
    }

    UNLOCKED;
    return result;
}

static Result destroy_graph(const char *call, void *handle, Kind kind)
{
    LOCKED;
    Result result = is(handle, kind) ? SUCCESS : INVALID_HANDLE;
    if (result == SUCCESS)
    {
        Graph *graph = handle;
        while (graph->first)
        {
            Op *op = graph->first;
            graph->first = op->next;
            free(op);
        }

        destroy(handle);
    }

    Entry *entry = record(call, NULL);
    entry->object = (uint64_t)handle;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuGraphDestroy(void *graph)
{
    return destroy_graph("cuGraphDestroy", graph, GRAPH);
}

API Result cuGraphExecDestroy(void *executable)
{
    return destroy_graph("cuGraphExecDestroy", executable, GRAPH_EXEC);
}
