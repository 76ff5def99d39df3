# Machine-written by wm_quant/kernels.py; do not edit.
# argmax: 13 + n / 8 * 66 + n % 8 * 11 compute units
.globl wmq_argmax
.type wmq_argmax,@function
wmq_argmax:
r3 = -1073741824
r4 = 0x4000000000000000 ll
r0 = r2
r5 = r2
r2 &= 7
r5 -= r2
r5 <<= 3
r5 += r1
if r1 == r5 goto 2f
1:
r6 = *(u64 *)(r1 + 0)
r6 *= r3
r6 -= r4
r7 = r6
r7 s>>= 63
r6 &= r7
r4 += r6
r6 = *(u64 *)(r1 + 8)
r6 *= r3
r6 += 1
r6 -= r4
r7 = r6
r7 s>>= 63
r6 &= r7
r4 += r6
r6 = *(u64 *)(r1 + 16)
r6 *= r3
r6 += 2
r6 -= r4
r7 = r6
r7 s>>= 63
r6 &= r7
r4 += r6
r6 = *(u64 *)(r1 + 24)
r6 *= r3
r6 += 3
r6 -= r4
r7 = r6
r7 s>>= 63
r6 &= r7
r4 += r6
r6 = *(u64 *)(r1 + 32)
r6 *= r3
r6 += 4
r6 -= r4
r7 = r6
r7 s>>= 63
r6 &= r7
r4 += r6
r6 = *(u64 *)(r1 + 40)
r6 *= r3
r6 += 5
r6 -= r4
r7 = r6
r7 s>>= 63
r6 &= r7
r4 += r6
r6 = *(u64 *)(r1 + 48)
r6 *= r3
r6 += 6
r6 -= r4
r7 = r6
r7 s>>= 63
r6 &= r7
r4 += r6
r6 = *(u64 *)(r1 + 56)
r6 *= r3
r6 += 7
r6 -= r4
r7 = r6
r7 s>>= 63
r6 &= r7
r4 += r6
r1 += 64
r4 += -8
if r1 != r5 goto 1b
2:
if r2 == 0 goto 4f
3:
r6 = *(u64 *)(r1 + 0)
r6 *= r3
r6 -= r4
r7 = r6
r7 s>>= 63
r6 &= r7
r4 += r6
r1 += 8
r4 += -1
r2 += -1
if r2 != 0 goto 3b
4:
r0 += r4
r0 &= 1073741823
exit
.size wmq_argmax, .-wmq_argmax
