#include "textflag.h"

// Constants that are compared with 32 bytes at a time.
DATA quote<>+0(SB)/8, $0x2222222222222222
DATA quote<>+8(SB)/8, $0x2222222222222222
DATA quote<>+16(SB)/8, $0x2222222222222222
DATA quote<>+24(SB)/8, $0x2222222222222222
GLOBL quote<>(SB), RODATA|NOPTR, $32

DATA backslash<>+0(SB)/8, $0x5c5c5c5c5c5c5c5c
DATA backslash<>+8(SB)/8, $0x5c5c5c5c5c5c5c5c
DATA backslash<>+16(SB)/8, $0x5c5c5c5c5c5c5c5c
DATA backslash<>+24(SB)/8, $0x5c5c5c5c5c5c5c5c
GLOBL backslash<>(SB), RODATA|NOPTR, $32

DATA space<>+0(SB)/8, $0x2020202020202020
DATA space<>+8(SB)/8, $0x2020202020202020
DATA space<>+16(SB)/8, $0x2020202020202020
DATA space<>+24(SB)/8, $0x2020202020202020
GLOBL space<>(SB), RODATA|NOPTR, $32

// func markAVX2(b, quotes, odd *byte, n int)
//
// Each round takes 64 bytes, in two halves, and writes a word of 64 bits for
// quotes and one for odd bytes. As numbers with a sign, control bytes and those
// that are not ASCII are both below a space.
TEXT ·markAVX2(SB), NOSPLIT, $0-32
	MOVQ b+0(FP), SI
	MOVQ quotes+8(FP), DI
	MOVQ odd+16(FP), R8
	MOVQ n+24(FP), CX
	VMOVDQU quote<>(SB), Y13
	VMOVDQU backslash<>(SB), Y14
	VMOVDQU space<>(SB), Y15

round:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1

	// Quotes.
	VPCMPEQB Y0, Y13, Y2
	VPCMPEQB Y1, Y13, Y3
	VPMOVMSKB Y2, AX
	VPMOVMSKB Y3, BX
	SHLQ $32, BX
	ORQ  BX, AX
	MOVQ AX, (DI)

	// Backslashes, or below a space.
	VPCMPEQB Y0, Y14, Y4
	VPCMPEQB Y1, Y14, Y5
	VPCMPGTB Y0, Y15, Y6
	VPCMPGTB Y1, Y15, Y7
	VPOR Y4, Y6, Y6
	VPOR Y5, Y7, Y7
	VPMOVMSKB Y6, AX
	VPMOVMSKB Y7, BX
	SHLQ $32, BX
	ORQ  BX, AX
	MOVQ AX, (R8)

	ADDQ $64, SI
	ADDQ $8, DI
	ADDQ $8, R8
	DECQ CX
	JNZ  round

	VZEROUPPER
	RET
