# Machine-written by wm_export/lower/kernel_files.py; do not edit.
# rmsnorm: 44 + n / 16 * 135 + n % 16 * 15 compute units
.globl wmq_rmsnorm
.type wmq_rmsnorm,@function
wmq_rmsnorm:
r0 = *(u64 *)(r2 + 0)
r7 = r1
r8 = r4
if r8 < 16 goto 2f
1:
r9 = *(u64 *)(r7 + 0)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 8)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 16)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 24)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 32)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 40)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 48)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 56)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 64)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 72)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 80)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 88)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 96)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 104)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 112)
r9 *= r9
r0 += r9
r9 = *(u64 *)(r7 + 120)
r9 *= r9
r0 += r9
r7 += 128
r8 += -16
if r8 > 15 goto 1b
2:
if r8 == 0 goto 4f
3:
r9 = *(u64 *)(r7 + 0)
r9 *= r9
r0 += r9
r7 += 8
r8 += -1
if r8 != 0 goto 3b
4:
r0 <<= 10
r6 = -10
r7 = r0
r7 >>= 32
if r7 < 256 goto 20f
r0 = r7
r6 += 32
21:
r7 = r0
r7 >>= 16
if r7 < 256 goto 22f
r0 = r7
r6 += 16
23:
r7 = r0
r7 >>= 8
if r7 < 256 goto 24f
r0 = r7
r6 += 8
25:
r7 = r0
r7 >>= 4
if r7 < 256 goto 26f
r0 = r7
r6 += 4
27:
r7 = r0
r7 >>= 2
if r7 < 256 goto 28f
r0 = r7
r6 += 2
29:
r0 <<= 3
r0 += r2
r2 = *(u64 *)(r0 - 2040)
r6 s>>= 1
r5 += r6
r7 = r5
r7 += -1
r6 = 1
r6 <<= r7
if r4 < 16 goto 6f
5:
r7 = *(u64 *)(r1 + 0)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 0) = r7
r7 = *(u64 *)(r1 + 8)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 8) = r7
r7 = *(u64 *)(r1 + 16)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 16) = r7
r7 = *(u64 *)(r1 + 24)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 24) = r7
r7 = *(u64 *)(r1 + 32)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 32) = r7
r7 = *(u64 *)(r1 + 40)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 40) = r7
r7 = *(u64 *)(r1 + 48)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 48) = r7
r7 = *(u64 *)(r1 + 56)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 56) = r7
r7 = *(u64 *)(r1 + 64)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 64) = r7
r7 = *(u64 *)(r1 + 72)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 72) = r7
r7 = *(u64 *)(r1 + 80)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 80) = r7
r7 = *(u64 *)(r1 + 88)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 88) = r7
r7 = *(u64 *)(r1 + 96)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 96) = r7
r7 = *(u64 *)(r1 + 104)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 104) = r7
r7 = *(u64 *)(r1 + 112)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 112) = r7
r7 = *(u64 *)(r1 + 120)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 120) = r7
r1 += 128
r3 += 128
r4 += -16
if r4 > 15 goto 5b
6:
if r4 == 0 goto 8f
7:
r7 = *(u64 *)(r1 + 0)
r7 *= r2
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 0) = r7
r1 += 8
r3 += 8
r4 += -1
if r4 != 0 goto 7b
8:
exit
20:
r0 = r0
goto 21b
22:
r0 = r0
goto 23b
24:
r0 = r0
goto 25b
26:
r0 = r0
goto 27b
28:
r0 = r0
goto 29b
.size wmq_rmsnorm, .-wmq_rmsnorm
