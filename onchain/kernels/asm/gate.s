# Machine-written by wm_export/lower/kernel_files.py; do not edit.
# gate: 7 + n / 8 * 52 compute units
.globl wmq_gate
.type wmq_gate,@function
wmq_gate:
r4 <<= 3
r4 += r1
r7 = r5
r7 += -1
r6 = 1
r6 <<= r7
1:
r7 = *(u64 *)(r1 + 0)
r8 = *(u64 *)(r2 + 0)
r7 *= r8
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 0) = r7
r7 = *(u64 *)(r1 + 8)
r8 = *(u64 *)(r2 + 8)
r7 *= r8
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 8) = r7
r7 = *(u64 *)(r1 + 16)
r8 = *(u64 *)(r2 + 16)
r7 *= r8
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 16) = r7
r7 = *(u64 *)(r1 + 24)
r8 = *(u64 *)(r2 + 24)
r7 *= r8
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 24) = r7
r7 = *(u64 *)(r1 + 32)
r8 = *(u64 *)(r2 + 32)
r7 *= r8
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 32) = r7
r7 = *(u64 *)(r1 + 40)
r8 = *(u64 *)(r2 + 40)
r7 *= r8
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 40) = r7
r7 = *(u64 *)(r1 + 48)
r8 = *(u64 *)(r2 + 48)
r7 *= r8
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 48) = r7
r7 = *(u64 *)(r1 + 56)
r8 = *(u64 *)(r2 + 56)
r7 *= r8
r7 += r6
r7 s>>= r5
*(u64 *)(r3 + 56) = r7
r1 += 64
r2 += 64
r3 += 64
if r1 != r4 goto 1b
exit
.size wmq_gate, .-wmq_gate
