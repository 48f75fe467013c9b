package main

// Places in struct user_pt_regs of asm/ptrace.h.
const (
	callNumber   = 8  // x8
	stackPointer = 31 // sp
)
