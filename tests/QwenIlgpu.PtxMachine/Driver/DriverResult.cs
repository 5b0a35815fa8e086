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
    LaunchFailed = 719,
    NotSupported = 801,
    StreamCaptureUnsupported = 900,
    StreamCaptureInvalidated = 901,
    Unknown = 999,
}

/// <summary>Ends a call with this result.</summary>
internal sealed class DriverException(DriverResult result) : Exception(result.ToString())
{
    public DriverResult Result { get; } = result;

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
        new (DriverResult Result, string Name, string Sentence)[]
        {
            (DriverResult.Success, "CUDA_SUCCESS", "no error"),
            (DriverResult.InvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"),
            (DriverResult.OutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"),
            (DriverResult.NotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"),
            (DriverResult.InvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"),
            (DriverResult.InvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"),
            (DriverResult.InvalidPtx, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"),
            (DriverResult.InvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"),
            (DriverResult.IllegalState, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"),
            (DriverResult.NotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"),
            (DriverResult.LaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"),
            (DriverResult.NotSupported, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"),
            (DriverResult.StreamCaptureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
                "operation not permitted when stream is capturing"),
            (DriverResult.StreamCaptureInvalidated, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
                "operation failed due to a previous error during capture"),
            (DriverResult.Unknown, "CUDA_ERROR_UNKNOWN", "unknown error"),
        }.ToFrozenDictionary(t => t.Result, t => (Marshal.StringToCoTaskMemUTF8(t.Name), Marshal.StringToCoTaskMemUTF8(t.Sentence)));

    /// <summary>Zero-terminated name, such as <c>CUDA_ERROR_INVALID_PTX</c>; 0 for a result that this driver never returns.</summary>
    public static nint Name(DriverResult result) => Texts.GetValueOrDefault(result).Name;

    public static nint Sentence(DriverResult result) => Texts.GetValueOrDefault(result).Sentence;
}
