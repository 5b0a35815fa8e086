using System.Collections.Frozen;
using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>CUresult: what a call of the driver returns.</summary>
internal enum DriverResult
{
    Success = 0,
    InvalidValue = 1,
    OutOfMemory = 2,
    NotInitialized = 3,
    InvalidDevice = 101,
    InvalidContext = 201,
    InvalidPtx = 218,
    InvalidHandle = 400,
    IllegalState = 401,
    NotFound = 500,
    NotReady = 600,
    IllegalAddress = 700,
    LaunchOutOfResources = 701,
    LaunchFailed = 719,
    NotSupported = 801,
    StreamCaptureUnsupported = 900,
    StreamCaptureInvalidated = 901,
    StreamCaptureMerge = 902,
    StreamCaptureUnmatched = 903,
    StreamCaptureUnjoined = 904,
    StreamCaptureIsolation = 905,
    StreamCaptureImplicit = 906,
    CapturedEvent = 907,
    StreamCaptureWrongThread = 908,
    GraphExecUpdateFailure = 910,
    Unknown = 999,
}

/// <summary>Ends a call with this result.</summary>
internal sealed class DriverException : Exception
{
    public DriverException(DriverResult result, string? message = null)
        : base(message ?? result.ToString()) => Result = result;

    public DriverException(DriverResult result, Exception cause)
        : base(cause.Message, cause) => Result = result;

    public DriverResult Result { get; }

    public static void ThrowUnless(bool condition, DriverResult result)
    {
        if (!condition)
            throw new DriverException(result);
    }
}

/// <summary>The driver's names and sentences for its results, in memory that stays where it is.</summary>
internal static class DriverResultText
{
    private static readonly FrozenDictionary<DriverResult, (nint Name, nint Sentence)> Texts =
        new (int Result, string Name, string Sentence)[]
        {
            (0, "CUDA_SUCCESS", "no error"),
            (1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"),
            (2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"),
            (3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"),
            (7, "CUDA_ERROR_PROFILER_ALREADY_STARTED", "profiler already started"),
            (34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"),
            (100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"),
            (101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"),
            (201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"),
            (218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"),
            (400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"),
            (401, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"),
            (500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"),
            (600, "CUDA_ERROR_NOT_READY", "device not ready"),
            (700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"),
            (701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"),
            (719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"),
            (801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"),
            (802, "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized"),
            (803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"),
            (900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"),
            (901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"),
            (902, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "operation would result in a merge of separate capture sequences"),
            (903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"),
            (904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"),
            (905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"),
            (906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"),
            (907, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"),
            (908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture sequence from another thread"),
            (910, "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE",
                "the graph update was not performed because it included changes which violated constraints"),
            (999, "CUDA_ERROR_UNKNOWN", "unknown error"),
        }.ToFrozenDictionary(t => (DriverResult)t.Result, t => (Marshal.StringToCoTaskMemUTF8(t.Name), Marshal.StringToCoTaskMemUTF8(t.Sentence)));

    /// <summary>Zero-terminated name, such as <c>CUDA_ERROR_INVALID_PTX</c>; 0 for a result that this driver never returns.</summary>
    public static nint Name(DriverResult result) => Texts.GetValueOrDefault(result).Name;

    public static nint Sentence(DriverResult result) => Texts.GetValueOrDefault(result).Sentence;
}
