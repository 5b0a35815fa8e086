#include "device.h"

enum { tile_rows = 32, tile_columns = 16, tile_depth = 16 };

DEVICE void load_matrices(unsigned r[4], const uint4 *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(SHARED_ADDRESS(row)) : "memory");
}

DEVICE void load_transposed(unsigned r[2], const uint4 *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1]) : "r"(SHARED_ADDRESS(row)) : "memory");
}

DEVICE void multiply(float d[4], const unsigned a[4], const unsigned b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// D = A · B of row-major matrices, 32 × 16 a group: two warps of sixteen rows each.
KERNEL GROUP_OF(64) matmul(float *d, const half_bits *a, const half_bits *b, int depth, int columns)
{
    SHARED uint4 a_tile[tile_rows][2];
    SHARED uint4 b_tile[tile_depth][2];
    int thread = THREAD_X;
    int warp = thread / 32;
    int lane = thread % 32;
    int row = GROUP_Y * tile_rows;
    int column = GROUP_X * tile_columns;
    float sums[2][4] = {};
    for (int k = 0; k < depth; k += tile_depth) {
        a_tile[thread / 2][thread % 2] = *(const uint4 *)&a[(row + thread / 2) * depth + k + thread % 2 * 8];
        if (thread < 32)
            b_tile[thread / 2][thread % 2] = *(const uint4 *)&b[(k + thread / 2) * columns + column + thread % 2 * 8];
        __syncthreads();

        unsigned left[4];
        load_matrices(left, &a_tile[16 * warp + lane % 16][lane / 16]);
        for (int part = 0; part < 2; part++) {
            unsigned right[2];
            load_transposed(right, &b_tile[lane % 16][part]);
            multiply(sums[part], left, right);
        }

        __syncthreads();
    }

    float *corner = d + (row + 16 * warp + lane / 4) * columns + column + lane % 4 * 2;
    for (int part = 0; part < 2; part++) {
        corner[8 * part] = sums[part][0];
        corner[8 * part + 1] = sums[part][1];
        corner[8 * part + 8 * columns] = sums[part][2];
        corner[8 * part + 8 * columns + 1] = sums[part][3];
    }
}
