// Start-up, devices and contexts.
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct
{
    Object object;
    int device;
} Context;

static const size_t MEMORY = 24ull << 30;

static bool started;
static int devices, capability, driver, prohibited;
static _Thread_local Context *current;

static int setting(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text && *text ? atoi(text) : otherwise;
}

Result bound(void)
{
    return !started ? NOT_INITIALIZED : is(current, CONTEXT) ? SUCCESS : INVALID_CONTEXT;
}

API Result cuInit(unsigned flags)
{
    LOCKED;
    int error = setting("STANDIN_INIT", 0);
    driver = setting("STANDIN_DRIVER", 12080);
    devices = setting("STANDIN_DEVICES", 2);
    capability = setting("STANDIN_CAPABILITY", 90);
    prohibited = setting("STANDIN_PROHIBITED", 0);
    started = error == SUCCESS;
    record("cuInit", NULL)->result = error;
    UNLOCKED;
    return flags ? INVALID_VALUE : error;
}

API Result cuDriverGetVersion(int *version)
{
    *version = started ? driver : setting("STANDIN_DRIVER", 12080);
    return SUCCESS;
}

API Result cuDeviceGetCount(int *count)
{
    *count = devices;
    return started ? SUCCESS : NOT_INITIALIZED;
}

API Result cuDeviceGet(int *device, int ordinal)
{
    if (!started || ordinal < 0 || ordinal >= devices)
        return started ? INVALID_DEVICE : NOT_INITIALIZED;
    *device = ordinal;
    return SUCCESS;
}

API Result cuDeviceGetName(char *name, int length, int device)
{
    if (device < 0 || device >= devices)
        return INVALID_DEVICE;
    snprintf(name, length, "Stand-in GPU %d", device);
    return SUCCESS;
}

API Result cuDeviceTotalMem_v2(size_t *bytes, int device)
{
    *bytes = MEMORY;
    return device < 0 || device >= devices ? INVALID_DEVICE : SUCCESS;
}

API Result cuMemGetInfo_v2(size_t *unused, size_t *bytes)
{
    LOCKED;
    *bytes = MEMORY;
    *unused = MEMORY - device_bytes();
    Result result = bound();
    UNLOCKED;
    return result;
}

API Result cuDeviceComputeCapability(int *major, int *minor, int device)
{
    *major = capability / 10;
    *minor = capability % 10;
    return device < 0 || device >= devices ? INVALID_DEVICE : SUCCESS;
}

// The numbers are those of CUdevice_attribute; the values resemble an H100 with less memory.
static int attribute(int number, int device)
{
    switch (number)
    {
        case 1: case 2: case 3: return 1024;        // threads a block, block x, y
        case 4: return 64;                          // block z
        case 5: return 2147483647;                  // grid x
        case 6: case 7: return 65535;               // grid y, z
        case 8: return 48 << 10;                    // shared bytes a block
        case 9: return 64 << 10;                    // constant bytes
        case 10: return 32;                         // warp
        case 12: case 82: return 65536;             // registers a block, a multiprocessor
        case 13: return 1980000;                    // clock, kHz
        case 16: return 132;                        // multiprocessors
        case 20: return prohibited ? 2 : 0;         // compute mode
        case 33: return device + 1;                 // PCI bus
        case 34: case 35: case 50: return 0;        // PCI device, TCC, PCI domain
        case 36: return 2619000;                    // memory clock, kHz
        case 37: return 5120;                       // memory bus, bits
        case 38: return 50 << 20;                   // L2 bytes
        case 39: return 2048;                       // threads a multiprocessor
        case 40: return 3;                          // copy engines
        case 75: return capability / 10;
        case 76: return capability % 10;
        case 81: return 228 << 10;                  // shared bytes a multiprocessor
        case 97: return 227 << 10;                  // shared bytes a block, opted in
        default: return 1;
    }
}

API Result cuDeviceGetAttribute(int *value, int number, int device)
{
    if (device < 0 || device >= devices)
        return INVALID_DEVICE;
    *value = attribute(number, device);
    return SUCCESS;
}

API Result cuDeviceCanAccessPeer(int *can, int device, int peer)
{
    *can = device != peer;
    return SUCCESS;
}

API Result cuDeviceGetP2PAttribute(int *value, int number, int source, int target)
{
    *value = number == 0 && source != target;
    return SUCCESS;
}

API Result cuCtxEnablePeerAccess(void *context, unsigned flags)
{
    return is(context, CONTEXT) && !flags ? SUCCESS : INVALID_CONTEXT;
}

API Result cuCtxDisablePeerAccess(void *context)
{
    return is(context, CONTEXT) ? SUCCESS : INVALID_CONTEXT;
}

API Result cuCtxCreate_v2(void **context, unsigned flags, int device)
{
    (void)flags;
    if (device < 0 || device >= devices)
        return INVALID_DEVICE;
    LOCKED;
    current = create(CONTEXT, sizeof(Context));
    current->device = device;
    *context = current;
    record("cuCtxCreate", NULL)->object = (uint64_t)current;
    UNLOCKED;
    return SUCCESS;
}

API Result cuCtxDestroy_v2(void *context)
{
    LOCKED;
    Result result = is(context, CONTEXT) ? SUCCESS : INVALID_CONTEXT;
    record("cuCtxDestroy", NULL)->result = result;
    if (result == SUCCESS)
    {
        drain_all();
        destroy(context);
    }

    UNLOCKED;
    return result;
}

API Result cuCtxSetCurrent(void *context)
{
    LOCKED;
    Result result = !context || is(context, CONTEXT) ? SUCCESS : INVALID_CONTEXT;
    if (result == SUCCESS)
        current = context;
    record("cuCtxSetCurrent", NULL)->result = result;
    UNLOCKED;
    return result;
}

API Result cuCtxGetCurrent(void **context)
{
    *context = current;
    return SUCCESS;
}

API Result cuCtxSynchronize(void)
{
    LOCKED;
    Result result = bound();
    if (result == SUCCESS)
        result = device_fault();
    if (result == SUCCESS && capture_forbids())
        result = CAPTURE_UNSUPPORTED;
    if (result == SUCCESS)
        drain_all();
    record("cuCtxSynchronize", NULL)->result = result;
    UNLOCKED;
    return result;
}

API Result cuCtxGetCacheConfig(int *value)
{
    *value = 0;
    return bound();
}

API Result cuCtxSetCacheConfig(int value)
{
    (void)value;
    return bound();
}

API Result cuCtxGetSharedMemConfig(int *value)
{
    *value = 0;
    return bound();
}

API Result cuCtxSetSharedMemConfig(int value)
{
    (void)value;
    return bound();
}

API Result cuGetErrorName(int error, const char **text)
{
    *text = error == SUCCESS ? "CUDA_SUCCESS" : "CUDA_ERROR_OF_THE_STAND_IN";
    return SUCCESS;
}

API Result cuGetErrorString(int error, const char **text)
{
    switch (error)
    {
        case SUCCESS: *text = "no error"; break;
        case INVALID_VALUE: *text = "invalid argument"; break;
        case OUT_OF_MEMORY: *text = "out of memory"; break;
        case NO_DEVICE: *text = "no CUDA-capable device is detected"; break;
        case INVALID_CONTEXT: *text = "invalid device context"; break;
        case INVALID_HANDLE: *text = "invalid resource handle"; break;
        case ILLEGAL_ADDRESS: *text = "an illegal memory access was encountered"; break;
        case CAPTURE_UNSUPPORTED: *text = "operation not permitted when stream is capturing"; break;
        case CAPTURE_INVALIDATED: *text = "operation failed due to a previous error during capture"; break;
        default: *text = "an error of the stand-in driver"; break;
    }

    return SUCCESS;
}
