// Modules, functions and launches. Nothing is compiled and nothing runs.
#include "driver.h"

#include <stdlib.h>
#include <string.h>

typedef struct Function
{
    char name[88];
    int attributes[16];
    struct Function *next;
} Function;

typedef struct
{
    Object object;
    char *ptx;
    Function *functions;
} Module;

static Result load(void **handle, const char *ptx)
{
    LOCKED;
    Result result = bound();
    if (result == SUCCESS && capture_forbids())
        result = CAPTURE_UNSUPPORTED;
    if (result == SUCCESS && (!strstr(ptx, ".version") || !strstr(ptx, ".target")))
        result = INVALID_PTX;
    if (result == SUCCESS)
    {
        Module *module = create(MODULE, sizeof(Module));
        module->ptx = strdup(ptx);
        *handle = module;
    }

    Entry *entry = record("cuModuleLoad", NULL);
    entry->object = result == SUCCESS ? (uint64_t)*handle : 0;
    entry->bytes = strlen(ptx);
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuModuleLoadData(void **module, const void *ptx)
{
    return load(module, ptx);
}

API Result cuModuleLoadDataEx(void **module, const void *ptx, unsigned options, int *names, void **values)
{
    (void)options;
    (void)names;
    (void)values;
    return load(module, ptx);
}

API Result cuModuleUnload(void *handle)
{
    LOCKED;
    Result result = is(handle, MODULE) ? SUCCESS : INVALID_HANDLE;
    if (result == SUCCESS)
    {
        Module *module = handle;
        free(module->ptx);
        module->ptx = NULL;
        destroy(handle);
    }

    Entry *entry = record("cuModuleUnload", NULL);
    entry->object = (uint64_t)handle;
    entry->result = result;
    UNLOCKED;
    return result;
}

API Result cuModuleGetFunction(void **function, void *handle, const char *name)
{
    LOCKED;
    Result result = is(handle, MODULE) ? SUCCESS : INVALID_HANDLE;
    Module *module = handle;
    if (result == SUCCESS && !strstr(module->ptx, name))
        result = NOT_FOUND;
    if (result == SUCCESS)
    {
        Function *found = calloc(1, sizeof(Function));
        strncpy(found->name, name, sizeof found->name - 1);
        found->attributes[0] = 1024;        // threads a block
        found->attributes[4] = 32;          // registers
        found->next = module->functions;
        module->functions = found;
        *function = found;
    }

    UNLOCKED;
    return result;
}

API Result cuFuncGetAttribute(int *value, int attribute, void *function)
{
    if (!function || attribute < 0 || attribute >= 16)
        return INVALID_VALUE;
    *value = ((Function *)function)->attributes[attribute];
    return SUCCESS;
}

API Result cuFuncSetAttribute(void *function, int attribute, int value)
{
    if (!function || attribute < 0 || attribute >= 16)
        return INVALID_VALUE;
    LOCKED;
    ((Function *)function)->attributes[attribute] = value;
    Entry *entry = record("cuFuncSetAttribute", NULL);
    strcpy(entry->name, ((Function *)function)->name);
    entry->object = attribute;
    entry->bytes = value;
    UNLOCKED;
    return SUCCESS;
}

API Result cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void *function, int block, size_t shared)
{
    (void)shared;
    if (!function || block < 1)
        return INVALID_VALUE;
    *blocks = 2048 / block;
    return SUCCESS;
}

API Result cuOccupancyMaxPotentialBlockSize(int *grid, int *block, void *function, void *shared_of, size_t shared, int limit)
{
    (void)shared_of;
    (void)shared;
    *block = limit > 0 && limit < 256 ? limit : 256;
    *grid = 132 * (2048 / *block);
    return function ? SUCCESS : INVALID_VALUE;
}

static Result launch(void *handle, const uint32_t grid[3], const uint32_t block[3], uint32_t shared, void *stream_handle, void **extra)
{
    LOCKED;
    Function *function = handle;
    Stream *stream = stream_of(stream_handle);
    Result result = stream ? bound() : INVALID_HANDLE;
    uint64_t threads = (uint64_t)block[0] * block[1] * block[2];
    if (result == SUCCESS && (!function || !grid[0] || !grid[1] || !grid[2] || !threads || threads > 1024))
        result = INVALID_VALUE;
    if (result == SUCCESS && (int)shared > (48 << 10) && (int)shared > function->attributes[8])
        result = INVALID_VALUE;
    Entry *entry = record("cuLaunchKernel", stream_handle);
    memcpy(entry->grid, grid, sizeof entry->grid);
    memcpy(entry->block, block, sizeof entry->block);
    entry->shared = shared;
    entry->result = result;
    if (function)
        strcpy(entry->name, function->name);
    if (extra && extra[0] == (void *)1 && extra[2] == (void *)2)
    {
        entry->bytes = *(size_t *)extra[3];
        entry->hash = hash_bytes(extra[1], entry->bytes);
    }

    if (result == SUCCESS)
    {
        entry->origin = stream->capture ? CAPTURED : DIRECT;
        queue(stream, KERNEL)->launch = *entry;
    }

    UNLOCKED;
    return result;
}

API Result cuLaunchKernel(
    void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
    unsigned shared, void *stream, void **parameters, void **extra)
{
    (void)parameters;
    uint32_t grid[3] = { grid_x, grid_y, grid_z };
    uint32_t block[3] = { block_x, block_y, block_z };
    return launch(function, grid, block, shared, stream, extra);
}

typedef struct
{
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t shared;
    void *stream;
    void *attributes;
    uint32_t attribute_count;
} LaunchConfig;

API Result cuLaunchKernelEx(const LaunchConfig *config, void *function, void **parameters, void **extra)
{
    (void)parameters;
    return launch(function, config->grid, config->block, config->shared, config->stream, extra);
}
