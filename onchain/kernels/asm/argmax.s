# Machine-written by wm_export/lower/kernel_files.py; do not edit.
# argmax: 13 + n / 8 * 34 + n % 8 * 7 compute units
.globl wmq_argmax
.type wmq_argmax,@function
wmq_argmax:
r3 = r1
r0 = r1
r4 = 0x8000000000000000 ll
r5 = r2
r2 &= 7
r5 -= r2
r5 <<= 3
r5 += r1
if r1 == r5 goto 4f
1:
r6 = *(u64 *)(r1 + 0)
if r6 s> r4 goto 20f
r0 = r0
goto 2f
10:
r0 = r1
r0 += 0
2:
r6 = *(u64 *)(r1 + 8)
if r6 s> r4 goto 21f
r0 = r0
goto 2f
11:
r0 = r1
r0 += 8
2:
r6 = *(u64 *)(r1 + 16)
if r6 s> r4 goto 22f
r0 = r0
goto 2f
12:
r0 = r1
r0 += 16
2:
r6 = *(u64 *)(r1 + 24)
if r6 s> r4 goto 23f
r0 = r0
goto 2f
13:
r0 = r1
r0 += 24
2:
r6 = *(u64 *)(r1 + 32)
if r6 s> r4 goto 24f
r0 = r0
goto 2f
14:
r0 = r1
r0 += 32
2:
r6 = *(u64 *)(r1 + 40)
if r6 s> r4 goto 25f
r0 = r0
goto 2f
15:
r0 = r1
r0 += 40
2:
r6 = *(u64 *)(r1 + 48)
if r6 s> r4 goto 26f
r0 = r0
goto 2f
16:
r0 = r1
r0 += 48
2:
r6 = *(u64 *)(r1 + 56)
if r6 s> r4 goto 27f
r0 = r0
goto 2f
17:
r0 = r1
r0 += 56
2:
r1 += 64
if r1 != r5 goto 1b
4:
if r2 == 0 goto 5f
3:
r6 = *(u64 *)(r1 + 0)
if r6 s> r4 goto 28f
r0 = r0
goto 2f
18:
r0 = r1
r0 += 0
2:
r1 += 8
r2 += -1
if r2 != 0 goto 3b
5:
r0 -= r3
r0 >>= 3
exit
1:
r4 = *(u64 *)(r1 + 0)
if r4 s> r6 goto 10b
r0 = r0
goto 2f
20:
r0 = r1
r0 += 0
2:
r4 = *(u64 *)(r1 + 8)
if r4 s> r6 goto 11b
r0 = r0
goto 2f
21:
r0 = r1
r0 += 8
2:
r4 = *(u64 *)(r1 + 16)
if r4 s> r6 goto 12b
r0 = r0
goto 2f
22:
r0 = r1
r0 += 16
2:
r4 = *(u64 *)(r1 + 24)
if r4 s> r6 goto 13b
r0 = r0
goto 2f
23:
r0 = r1
r0 += 24
2:
r4 = *(u64 *)(r1 + 32)
if r4 s> r6 goto 14b
r0 = r0
goto 2f
24:
r0 = r1
r0 += 32
2:
r4 = *(u64 *)(r1 + 40)
if r4 s> r6 goto 15b
r0 = r0
goto 2f
25:
r0 = r1
r0 += 40
2:
r4 = *(u64 *)(r1 + 48)
if r4 s> r6 goto 16b
r0 = r0
goto 2f
26:
r0 = r1
r0 += 48
2:
r4 = *(u64 *)(r1 + 56)
if r4 s> r6 goto 17b
r0 = r0
goto 2f
27:
r0 = r1
r0 += 56
2:
r1 += 64
if r1 != r5 goto 1b
4:
if r2 == 0 goto 5f
3:
r4 = *(u64 *)(r1 + 0)
if r4 s> r6 goto 18b
r0 = r0
goto 2f
28:
r0 = r1
r0 += 0
2:
r1 += 8
r2 += -1
if r2 != 0 goto 3b
5:
r0 -= r3
r0 >>= 3
exit
.size wmq_argmax, .-wmq_argmax
