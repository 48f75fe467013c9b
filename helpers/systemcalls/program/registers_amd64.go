package main

// Places in struct user_regs_struct of sys/user.h.
const (
	callNumber   = 15 // orig_rax
	stackPointer = 19 // rsp
)
