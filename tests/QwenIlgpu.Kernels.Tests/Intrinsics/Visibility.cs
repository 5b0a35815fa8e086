using System.Runtime.CompilerServices;

// ILGPU generates launchers against the test kernels' own parameter structs.
[assembly: InternalsVisibleTo("ILGPURuntime")]
