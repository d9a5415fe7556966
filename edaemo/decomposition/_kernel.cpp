// The C interface of the kernel, and the version with two lanes for any processor (SSE2, NEON).

#define LANES 2
#include "_kernel.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <xmmintrin.h>
#endif

DEFINE_KERNEL(2)

namespace {

// Arithmetic with numbers below 1e-308 is a hundred times slower; they count as 0 here. The
// destructor restores the processor's mode, including its flags.
class FlushDenormals {
#if defined(__x86_64__) || defined(__i386__)
    unsigned before = _mm_getcsr();

   public:
    FlushDenormals() { _mm_setcsr(before | 0x8040); }
    ~FlushDenormals() { _mm_setcsr(before); }
#elif defined(__aarch64__)
    uint64_t before;

   public:
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(before));
        asm volatile("msr fpcr, %0" : : "r"(before | (uint64_t(1) << 24)));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(before)); }
#endif
};

#if defined(__x86_64__)
// Whether the processor has AVX2 and FMA, and the operating system saves the wide registers.
// __builtin_cpu_supports is not used: the run-time library of zig always answers no.
bool has_avx2() {
    constexpr unsigned FMA = 1u << 12, OSXSAVE = 1u << 27, AVX2 = 1u << 5, WIDE = 6;
    unsigned a, b, c, d, saved, upper;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (FMA | OSXSAVE)) != (FMA | OSXSAVE)) return false;
    asm("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
    if ((saved & WIDE) != WIDE) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & AVX2);
}
#endif

}  // namespace

#if defined(_WIN32)
#define PUBLIC __declspec(dllexport)
#else
#define PUBLIC __attribute__((visibility("default")))
#endif

extern "C" {

// Python checks this number, so that a library built from older sources is not used.
PUBLIC int edaemo_abi() { return KERNEL_ABI; }

// Largest number of lanes that the instructions of this processor support.
PUBLIC int edaemo_lanes() {
#if defined(__x86_64__)
    if (has_avx2()) return 4;
#endif
    return 2;
}

// Size of the workspace of `edaemo_solve` in bytes; it must be aligned to 64 bytes.
PUBLIC int64_t edaemo_workspace(const Structure* structure) {
#if defined(__x86_64__)
    if (structure->lanes == 4) return workspace_4(structure);
#endif
    return workspace_2(structure);
}

// Decompose `count` recordings one after another, in one workspace that is large enough for each.
// Each entry of `out` receives phasic, tonic, driver and residual (n values each), then the splines,
// the drift and the initial state, all in the unit of y. It is complete only if the status in its report is
// CONVERGED. If *stop is not 0, the current recording ends at its next iteration and the others
// are not started.
PUBLIC void edaemo_solve(int64_t count, const Structure* const* structure, void* workspace,
                         const double* const* y, const double* alpha, double tol,
                         int max_iter, int certify, const volatile int32_t* stop,
                         double* const* out, Report* report) {
    FlushDenormals flush;
    for (int64_t i = 0; i < count; i++) {
        const auto solve =
#if defined(__x86_64__)
            structure[i]->lanes == 4 ? solve_4 :
#endif
                                     solve_2;
        report[i].status = *stop ? int(STOPPED)
                                 : solve(structure[i], workspace, y[i], alpha[i], tol, max_iter,
                                         certify, stop, out[i], report + i);
    }
}
}
