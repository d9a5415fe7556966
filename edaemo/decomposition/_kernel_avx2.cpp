// Version with four lanes in AVX2 registers and fused multiply-add. _kernel.cpp checks first
// whether the processor supports them.
//
// The instruction set is selected in this file, not by a compiler flag, so that no other file is
// compiled with it by mistake.

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define LANES 4
#include "_kernel.hpp"

DEFINE_KERNEL(4)

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
