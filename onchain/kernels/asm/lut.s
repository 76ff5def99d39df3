# Machine-written by wm_export/lower/kernel_files.py; do not edit.
# lut: 9 + n / 8 * 51 + n % 8 * 10 compute units
.globl wmq_lut
.type wmq_lut,@function
wmq_lut:
r2 += 4096
r5 = r4
r4 &= 7
r5 -= r4
r5 <<= 3
r5 += r1
if r1 == r5 goto 2f
1:
r7 = *(u64 *)(r1 + 0)
r7 <<= 1
r7 += r2
r7 = *(u16 *)(r7 + 0)
r7 += -32768
*(u64 *)(r3 + 0) = r7
r7 = *(u64 *)(r1 + 8)
r7 <<= 1
r7 += r2
r7 = *(u16 *)(r7 + 0)
r7 += -32768
*(u64 *)(r3 + 8) = r7
r7 = *(u64 *)(r1 + 16)
r7 <<= 1
r7 += r2
r7 = *(u16 *)(r7 + 0)
r7 += -32768
*(u64 *)(r3 + 16) = r7
r7 = *(u64 *)(r1 + 24)
r7 <<= 1
r7 += r2
r7 = *(u16 *)(r7 + 0)
r7 += -32768
*(u64 *)(r3 + 24) = r7
r7 = *(u64 *)(r1 + 32)
r7 <<= 1
r7 += r2
r7 = *(u16 *)(r7 + 0)
r7 += -32768
*(u64 *)(r3 + 32) = r7
r7 = *(u64 *)(r1 + 40)
r7 <<= 1
r7 += r2
r7 = *(u16 *)(r7 + 0)
r7 += -32768
*(u64 *)(r3 + 40) = r7
r7 = *(u64 *)(r1 + 48)
r7 <<= 1
r7 += r2
r7 = *(u16 *)(r7 + 0)
r7 += -32768
*(u64 *)(r3 + 48) = r7
r7 = *(u64 *)(r1 + 56)
r7 <<= 1
r7 += r2
r7 = *(u16 *)(r7 + 0)
r7 += -32768
*(u64 *)(r3 + 56) = r7
r1 += 64
r3 += 64
if r1 != r5 goto 1b
2:
if r4 == 0 goto 4f
3:
r7 = *(u64 *)(r1 + 0)
r7 <<= 1
r7 += r2
r7 = *(u16 *)(r7 + 0)
r7 += -32768
*(u64 *)(r3 + 0) = r7
r1 += 8
r3 += 8
r4 += -1
if r4 != 0 goto 3b
4:
exit
.size wmq_lut, .-wmq_lut
