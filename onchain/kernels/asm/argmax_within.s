# Machine-written by wm_export/lower/kernel_files.py; do not edit.
# argmax_within: 12 + n / 8 * 99 + n % 8 * 16 compute units
.globl wmq_argmax_within
.type wmq_argmax_within,@function
wmq_argmax_within:
r9 = 0x4000000000000000 ll
r0 = r2
r5 = r2
r2 &= 7
r5 -= r2
r5 <<= 3
r5 += r1
if r1 == r5 goto 2f
1:
r6 = *(u64 *)(r1 + 0)
r6 *= -65536
r7 = *(u8 *)(r3 + 0)
r7 ^= r4
r7 <<= 49
r6 += r7
r6 -= r9
r7 = r6
r7 s>>= 63
r6 &= r7
r9 += r6
r6 = *(u64 *)(r1 + 8)
r6 *= -65536
r6 += 1
r7 = *(u8 *)(r3 + 1)
r7 ^= r4
r7 <<= 49
r6 += r7
r6 -= r9
r7 = r6
r7 s>>= 63
r6 &= r7
r9 += r6
r6 = *(u64 *)(r1 + 16)
r6 *= -65536
r6 += 2
r7 = *(u8 *)(r3 + 2)
r7 ^= r4
r7 <<= 49
r6 += r7
r6 -= r9
r7 = r6
r7 s>>= 63
r6 &= r7
r9 += r6
r6 = *(u64 *)(r1 + 24)
r6 *= -65536
r6 += 3
r7 = *(u8 *)(r3 + 3)
r7 ^= r4
r7 <<= 49
r6 += r7
r6 -= r9
r7 = r6
r7 s>>= 63
r6 &= r7
r9 += r6
r6 = *(u64 *)(r1 + 32)
r6 *= -65536
r6 += 4
r7 = *(u8 *)(r3 + 4)
r7 ^= r4
r7 <<= 49
r6 += r7
r6 -= r9
r7 = r6
r7 s>>= 63
r6 &= r7
r9 += r6
r6 = *(u64 *)(r1 + 40)
r6 *= -65536
r6 += 5
r7 = *(u8 *)(r3 + 5)
r7 ^= r4
r7 <<= 49
r6 += r7
r6 -= r9
r7 = r6
r7 s>>= 63
r6 &= r7
r9 += r6
r6 = *(u64 *)(r1 + 48)
r6 *= -65536
r6 += 6
r7 = *(u8 *)(r3 + 6)
r7 ^= r4
r7 <<= 49
r6 += r7
r6 -= r9
r7 = r6
r7 s>>= 63
r6 &= r7
r9 += r6
r6 = *(u64 *)(r1 + 56)
r6 *= -65536
r6 += 7
r7 = *(u8 *)(r3 + 7)
r7 ^= r4
r7 <<= 49
r6 += r7
r6 -= r9
r7 = r6
r7 s>>= 63
r6 &= r7
r9 += r6
r1 += 64
r3 += 8
r9 += -8
if r1 != r5 goto 1b
2:
if r2 == 0 goto 4f
3:
r6 = *(u64 *)(r1 + 0)
r6 *= -65536
r7 = *(u8 *)(r3 + 0)
r7 ^= r4
r7 <<= 49
r6 += r7
r6 -= r9
r7 = r6
r7 s>>= 63
r6 &= r7
r9 += r6
r1 += 8
r3 += 1
r9 += -1
r2 += -1
if r2 != 0 goto 3b
4:
r0 += r9
r0 &= 65535
exit
.size wmq_argmax_within, .-wmq_argmax_within
