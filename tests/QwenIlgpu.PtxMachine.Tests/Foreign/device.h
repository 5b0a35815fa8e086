// What CUDA's headers would declare, as far as these kernels need it.
#define KERNEL extern "C" __attribute__((global)) void
#define DEVICE static __attribute__((device)) __attribute__((always_inline))
#define SHARED __attribute__((shared))
#define GROUP_OF(n) __attribute__((launch_bounds(n)))
#define SHARED_ADDRESS(p) ((unsigned)(__SIZE_TYPE__)(__attribute__((address_space(3))) char *)(void *)(p))

#define THREAD_X __nvvm_read_ptx_sreg_tid_x()
#define THREAD_Y __nvvm_read_ptx_sreg_tid_y()
#define THREADS_X __nvvm_read_ptx_sreg_ntid_x()
#define GROUP_X __nvvm_read_ptx_sreg_ctaid_x()
#define GROUP_Y __nvvm_read_ptx_sreg_ctaid_y()
#define GROUPS_X __nvvm_read_ptx_sreg_nctaid_x()
#define ALL_LANES (-1)

typedef unsigned char byte;
typedef unsigned short half_bits;
typedef unsigned long long wide;
typedef float float4 __attribute__((ext_vector_type(4)));
typedef unsigned uint4 __attribute__((ext_vector_type(4)));
